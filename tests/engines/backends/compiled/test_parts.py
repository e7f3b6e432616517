"""Components of the compiled backend, on the CPU: attention, KV cache and quantised layers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import LlamaConfig

from engines.backends.compiled.answer_loop import _PendingToken
from engines.backends.compiled.attention import decode_attention
from engines.backends.compiled.cache import BucketedCache, StaticSplitLayer, WritePositions
from engines.backends.compiled.eight_bits import EightBitLinear, Kind
from engines.backends.compiled.four_bits import (
    GROUP,
    CpuFourBitLinear,
    CudaFourBitLinear,
    pack,
    quantise,
    unpack,
)
from engines.backends.compiled.regional import mask_values, step_inputs
from engines.errors import EngineError

HEADS, KV_HEADS, TOKENS, WIDTH = 8, 2, 192, 16


def test_split_attention_equals_sdpa() -> None:
    torch.manual_seed(0)
    query = torch.randn(1, HEADS, 1, WIDTH)
    key, value = torch.randn(2, 1, KV_HEADS, TOKENS, WIDTH).unbind(0)
    mask = torch.zeros(1, 1, 1, TOKENS)
    mask[..., 70:] = torch.finfo(torch.float32).min  # one split is partly masked, and one completely
    expected = scaled_dot_product_attention(query, key, value, mask, enable_gqa=True, scale=0.25)
    found = decode_attention(query, key, value, mask, 0.25)
    torch.testing.assert_close(found, expected.transpose(1, 2))


def test_the_cache_is_written_in_place() -> None:
    """The compiled update copies only the new tokens; otherwise a step would copy the whole cache."""
    from torch._dynamo.backends.common import aot_autograd  # four seconds of imports

    positions = WritePositions()
    _, positions.splits, positions.offsets = step_inputs(
        torch.tensor([67]), torch.arange(128).view(-1, 64), mask_values(torch.float32, "cpu")
    )
    layer = StaticSplitLayer(512, positions)
    new = torch.ones(1, KV_HEADS, 1, WIDTH)
    layer.lazy_initialization(new, new)
    seen: list[Any] = []

    def keep(graph: torch.fx.GraphModule, _inputs: Any) -> Any:
        seen.extend(node.target for node in graph.graph.nodes)
        return graph.forward

    with torch.no_grad():
        torch.compile(layer.update, backend=aot_autograd(fw_compiler=keep), fullgraph=True)(new, new)
    assert torch.ops.aten.index_put.default in seen
    assert torch.ops.aten.clone.default not in seen
    assert layer.storage is not None
    assert layer.storage[0][1, 3].eq(1).all()
    assert layer.storage[0].sum() == new.numel()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_token_of_logits_that_are_not_finite_is_an_error(value: float) -> None:
    token, logits = torch.tensor([[2]]), torch.tensor([[0.0, 1.0, 2.0]])
    assert _PendingToken(token, logits).value() == 2
    logits[0, 1] = value
    with pytest.raises(EngineError, match="NaN or infinite"):
        _PendingToken(token, logits).value()
    with pytest.raises(EngineError):
        _PendingToken(token, torch.full((1, 3), -float("inf"))).value()


def test_the_capacity_is_a_multiple_of_the_split_size() -> None:
    config = LlamaConfig(num_hidden_layers=1)
    assert BucketedCache(config, 1000).capacity == 1024
    assert BucketedCache(config, 1024).capacity == 1024


def test_capped_attention_scores_are_refused() -> None:
    config = LlamaConfig(num_hidden_layers=1)
    config.attn_logit_softcapping = 50.0
    with pytest.raises(EngineError, match="Capped"):
        BucketedCache(config, 512)


@pytest.mark.parametrize("inputs", [256, 192])
def test_four_bits_on_the_cpu_equal_torchao(inputs: int) -> None:
    torch.manual_seed(0)
    module = torch.nn.Linear(inputs, 24)
    layer = CpuFourBitLinear(module, "cpu")
    layer.fill(module.weight.detach())
    group = layer.group_of(module)
    values, scale, zero = quantise(module.weight.detach(), group)
    grouped = values.unflatten(1, (-1, group)).float() - 8
    weight = (grouped * scale[..., None] + zero[..., None]).flatten(1)
    x = torch.randn(3, inputs)
    torch.testing.assert_close(layer(x), x @ weight.T + module.bias)
    assert (weight - module.weight).abs().max() <= scale.max()


@pytest.mark.parametrize("inputs", [576, 72])
def test_four_bits_of_the_cuda_layout_fill_the_last_group_with_zeros(inputs: int) -> None:
    torch.manual_seed(0)
    module = torch.nn.Linear(inputs, 8, dtype=torch.bfloat16)
    layer = CudaFourBitLinear(module, "cpu")
    layer.fill(module.weight.detach())
    x = torch.randn(3, inputs, dtype=torch.bfloat16)
    full = torch.nn.functional.pad(module.weight.detach(), (0, -inputs % GROUP))
    values, scale, zero = quantise(full, GROUP)
    weight = (values.unflatten(1, (-1, GROUP)).bfloat16() - 8) * scale[..., None] + zero[..., None]
    torch.testing.assert_close(layer(x), x @ weight.flatten(1)[:, :inputs].T + module.bias)


def test_four_bits_of_the_cuda_layout_are_what_was_packed() -> None:
    """Nibble i of word j of a group is the value of its input 16 i + j; prompts use the same weights."""
    torch.manual_seed(0)
    module = torch.nn.Linear(256, 16, dtype=torch.bfloat16)
    values, scale, zero = quantise(module.weight.detach(), GROUP)
    words = pack(values)
    for output, group, word, nibble in product(range(16), range(2), range(16), range(8)):
        stored = int(words[output, group * 16 + word]) >> 4 * nibble & 15
        assert stored == values[output, group * 128 + nibble * 16 + word]
    assert torch.equal(unpack(words), values.int())

    layer = CudaFourBitLinear(module, "cpu")
    layer.fill(module.weight.detach())
    weight = (values.unflatten(1, (-1, GROUP)).bfloat16() - 8) * scale[..., None] + zero[..., None]
    x = torch.randn(3, 256, dtype=torch.bfloat16)
    torch.testing.assert_close(layer(x), x @ weight.flatten(1).T + module.bias)


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_eight_bits_are_the_weights_to_half_a_step(kind: Kind) -> None:
    torch.manual_seed(0)
    module = torch.nn.Linear(72, 5, dtype=torch.bfloat16)
    layer = EightBitLinear(module, "cpu", kind)
    layer.fill(module.weight.detach())
    stored = layer.values.float() * layer.scales[:, None]
    steps = layer.scales[:, None] if kind == "int8" else module.weight.abs() / 8
    assert ((stored - module.weight).abs() <= steps / 2 * 1.01 + 1e-5).all()
    x = torch.randn(3, 72, dtype=torch.bfloat16)
    torch.testing.assert_close(layer(x), x @ stored.bfloat16().T + module.bias)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("kind", ["int8", "fp8"])
@pytest.mark.parametrize(("inputs", "outputs"), [(72, 5), (1408, 20), (4096, 1024)])
def test_the_kernel_for_one_token_with_eight_bits_equals_the_unpacked_product(
    inputs: int, outputs: int, kind: Kind
) -> None:
    torch.manual_seed(0)
    module = torch.nn.Linear(inputs, outputs, dtype=torch.bfloat16, device="cuda")
    layer = EightBitLinear(module, "cuda", kind)
    layer.fill(module.weight.detach())
    x = torch.randn(2, inputs, dtype=torch.bfloat16, device="cuda")
    torch.testing.assert_close(layer(x[:1]), layer(x)[:1], rtol=2e-2, atol=2e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize(("inputs", "outputs"), [(128, 4), (1408, 20), (4096, 1024), (576, 192), (72, 8)])
def test_the_kernel_for_one_token_equals_the_unpacked_product(inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    module = torch.nn.Linear(inputs, outputs, dtype=torch.bfloat16, device="cuda")
    layer = CudaFourBitLinear(module, "cuda")
    layer.fill(module.weight.detach())
    x = torch.randn(2, inputs, dtype=torch.bfloat16, device="cuda")
    torch.testing.assert_close(layer(x[:1]), layer(x)[:1], rtol=2e-2, atol=2e-2)
