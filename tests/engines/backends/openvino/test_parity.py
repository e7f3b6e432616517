"""The engine's tokens and logits equal those of transformers, for each family and precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from tests.engines.backends.openvino.conftest import Build, Load
from tests.engines.backends.openvino.measures import compiled, engine_logits, layer_types
from tests.engines.conftest import Checkpoint
from tests.engines.dequantised import dequantised_model
from tests.engines.measures import answer, divergence, reference_answer, reference_logits, tokens
from tests.engines.tiny import FAMILIES

LONG = 1300
"""Beyond position 1024, where a RoPE angle in bfloat16 would be off by a full turn."""
ALL = (*FAMILIES, "llama-biased")


@pytest.mark.parametrize("family", ALL)
def test_greedy_tokens_of_fp32_equal_transformers(
    family: str, checkpoint: Checkpoint, load: Load, reference: Any
) -> None:
    folder, prompt = checkpoint(family), tokens(40)
    assert answer(load(folder), prompt) == reference_answer(reference(folder), prompt)


@pytest.mark.parametrize("family", ALL)
def test_fp32_logits_equal_transformers_past_position_1024(
    family: str, checkpoint: Checkpoint, build: Build, reference: Any
) -> None:
    folder, ids = checkpoint(family), tokens(LONG)
    found = divergence(
        reference_logits(reference(folder), ids), engine_logits(compiled(build(folder), "f32"), ids)
    )
    assert found.mean() < 1e-7
    assert found[1024:].max() < 1e-6


@pytest.mark.parametrize("options", [{"max_shard_size": "400KB"}, {"dtype": torch.bfloat16}], ids=str)
def test_shards_and_16_bit_checkpoints_are_exact(
    options: dict[str, Any], checkpoint: Checkpoint, load: Load, build: Build, reference: Any
) -> None:
    folder, prompt = checkpoint("llama", **options), tokens(40)
    assert answer(load(folder), prompt) == reference_answer(reference(folder), prompt)
    ids = tokens(200)
    found = divergence(
        reference_logits(reference(folder), ids), engine_logits(compiled(build(folder), "f32"), ids)
    )
    assert found.max() < 1e-6
    if "dtype" in options:  # 16-bit weights stay 16 bits wide on disk
        entries = tensor_entries(folder).values()
        assert (build(folder) / "openvino_model.bin").stat().st_size < 1.1 * sum(e.size for e in entries)
    else:
        assert len(list(folder.glob("*.safetensors"))) > 1


@pytest.mark.parametrize("family", ["llama3", "qwen3", "phi3", "gpt2"])
def test_bf16_is_as_close_as_pytorch_bf16(
    family: str, checkpoint: Checkpoint, build: Build, reference: Any
) -> None:
    folder, ids = checkpoint(family, standard_deviation=0.06), tokens(LONG)
    exact = reference_logits(reference(folder), ids)
    torch_bf16 = divergence(exact, reference_logits(reference(folder, torch.bfloat16), ids))
    engine_bf16 = divergence(exact, engine_logits(compiled(build(folder, "bf16"), "bf16"), ids))
    assert engine_bf16.mean() < 1e-4
    assert engine_bf16.mean() < 2 * torch_bf16.mean()
    # Without the fused RoPE the angles drift with the position.
    assert engine_bf16[1024:].mean() < 2 * engine_bf16[:128].mean() + 1e-6


QUANTISED_BOUNDS = {"int8": 6e-4, "int4": 4e-2}
"""Twice the divergence measured on random weights, whose quantisation errors do not average out."""


@pytest.mark.parametrize("precision", QUANTISED_BOUNDS)
@pytest.mark.parametrize("family", ["llama", "qwen3", "phi3", "gpt2"])
def test_quantised_engines_stay_close(
    family: str, precision: str, checkpoint: Checkpoint, build: Build, reference: Any
) -> None:
    folder, ids = checkpoint(family, standard_deviation=0.06), tokens(LONG)
    exact = reference_logits(reference(folder), ids)
    found = divergence(exact, engine_logits(compiled(build(folder, precision), "f32"), ids))
    assert found.mean() < QUANTISED_BOUNDS[precision]
    assert found[1024:].mean() < QUANTISED_BOUNDS[precision]


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("family", ["llama-tied", "phi3", "gpt2"])
def test_the_graph_computes_with_the_quantised_weights(
    family: str, precision: str, checkpoint: Checkpoint, build: Build
) -> None:
    """transformers with the dequantised weights gives the same logits, up to fp32 rounding."""
    folder, ids = checkpoint(family), tokens(300)
    model = dequantised_model(folder, precision)
    graph = compiled(build(folder, precision), "f32", DYNAMIC_QUANTIZATION_GROUP_SIZE=0)
    assert divergence(reference_logits(model, ids), engine_logits(graph, ids)).max() < 1e-6


@pytest.mark.parametrize(("precision", "hint"), [("fp32", "f32"), ("bf16", "bf16"), ("int4", "f32")])
@pytest.mark.parametrize("family", [family for family in ALL if family != "gpt2"])
def test_rope_is_one_fused_node(
    family: str, precision: str, hint: str, checkpoint: Checkpoint, build: Build
) -> None:
    folder = checkpoint(family)
    rotating = sum(layer.rope is not None for layer in read_decoder(folder).layers)
    types = layer_types(compiled(build(folder, precision), hint))
    assert types.count("RoPE") == 2 * rotating
