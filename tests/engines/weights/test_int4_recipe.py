"""Calibrated int4: scales of groups, folding, and which layers are int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import Decoder, Linear, read_decoder
from engines.weights.folded_reader import FoldedReader
from engines.weights.group_scales import group_scales, output_errors
from engines.weights.int4_recipe import (
    INT4_BYTES,
    INT8_SHARE,
    QUIETEST,
    Int4Recipe,
    floored,
    fold_scales,
    folded_power,
    int8_gains,
    int8_weights,
)
from engines.weights.quantise import quantise_int4
from engines.weights.reader import Floats
from tests.engines.conftest import Checkpoint
from tests.engines.measures import reference_logits, tokens
from tests.engines.weights.test_weights import LINEAR, stored

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.standard_t(4, (24, 2, 64)).astype(np.float32)
POWER = RANDOM.lognormal(0, 2, (2, 64)).astype(np.float32)
FLAT = np.ones_like(POWER)


def errors(power: Floats, chosen_by: Floats | None, *, zero_points: bool = False) -> Floats:
    scales, zeros = group_scales(WEIGHTS, chosen_by, zero_points=zero_points)
    return output_errors(WEIGHTS, scales, zeros, power)


@pytest.mark.parametrize("zero_points", [False, True])
def test_the_search_lowers_the_error_of_the_outputs_and_raises_it_in_no_group(zero_points: bool) -> None:
    plain = errors(POWER, None, zero_points=zero_points)
    found = errors(POWER, POWER, zero_points=zero_points)
    assert (found <= plain).all()
    assert found.sum() < 0.9 * plain.sum()


def test_the_search_is_for_the_inputs_that_the_text_uses() -> None:
    """A search that takes all inputs for equal is worse on those that matter."""
    assert errors(POWER, POWER).sum() < errors(POWER, FLAT).sum()
    assert errors(FLAT, FLAT).sum() < errors(FLAT, POWER).sum()


def test_the_range_of_a_group_is_full_without_a_text() -> None:
    scales, zeros = group_scales(WEIGHTS, None)
    assert np.allclose(np.abs(scales[..., 0]) * 8, np.abs(WEIGHTS).max(2))
    scales, zeros = group_scales(WEIGHTS, None, zero_points=True)
    assert np.allclose(scales[..., 0] * 15, WEIGHTS.max(2) - WEIGHTS.min(2))
    assert ((zeros >= 0) & (zeros <= 15)).all()


def test_zero_points_are_stored_beside_the_levels(tmp_path: Path) -> None:
    tensor = torch.rand(24, 128) + 0.1  # all positive: symmetric groups would waste half of the levels
    reader = stored(tmp_path, tensor)
    symmetric = quantise_int4(reader, LINEAR, 64)
    found = quantise_int4(reader, LINEAR, 64, zero_points=True)
    assert symmetric.zeros is None
    assert found.zeros is not None
    levels = np.stack([found.packed & 15, found.packed >> 4], 1).reshape(found.shape)
    weights = (levels.astype(np.float32) - found.zeros) * found.scales.astype(np.float32)
    kept = symmetric.values.reshape(symmetric.shape) * symmetric.scales.astype(np.float32)
    exact = tensor.numpy().reshape(found.shape)
    assert np.abs(weights - exact).mean() < 0.7 * np.abs(kept - exact).mean()


def test_inputs_that_a_short_text_leaves_at_zero_keep_a_little_weight() -> None:
    power = np.array([0, 1, 3], np.float32)
    assert floored(power) == pytest.approx([4 / 3 * QUIETEST, 1, 3])
    assert (floored(np.zeros(3, np.float32)) > 0).all()


# --- folding ---------------------------------------------------------------------------------------------


def uneven_power(decoder: Decoder) -> dict[str, Floats]:
    """Inputs of which a few are far larger, the same for layers that share them."""
    found = {}
    for layer in decoder.layers:
        for linears in (layer.attention_in, (layer.attention_out,), layer.mlp_in, (layer.mlp_out,)):
            power = RANDOM.lognormal(0, 3, linears[0].inputs).astype(np.float32)
            found |= {linear.weight: power for linear in linears}
    return found


def folded(folder: Path) -> tuple[Decoder, FoldedReader, dict[str, Floats]]:
    decoder, reader = read_decoder(folder), FoldedReader(tensor_entries(folder))
    power = uneven_power(decoder)
    for layer in decoder.layers:
        fold_scales(reader, layer, power, gated=decoder.gated)
    return decoder, reader, power


@pytest.mark.parametrize("family", ["llama", "llama-biased", "qwen3", "phi3", "gpt2"])
def test_folding_leaves_the_logits_as_they_are(family: str, checkpoint: Checkpoint, reference: Any) -> None:
    """transformers with the folded weights, norms and biases is the same model, and they are others."""
    folder = checkpoint(family)
    decoder, reader, _ = folded(folder)
    gated = {layer.mlp_out.weight for layer in decoder.layers} if decoder.gated else set()
    read = {linear.weight for layer in decoder.layers for linear in (*layer.attention_in, *layer.mlp_in)}
    assert reader.columns.keys() == read | gated
    model, ids = reference(folder), tokens(60)
    before = reference_logits(model, ids)
    linears = {linear.weight: linear for linear in decoder.linears[:-1]}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if name in linears:
                    weight = torch.tensor(reader.rows(linears[name]))
                    tensor.copy_(weight.T if linears[name].transposed else weight)
                elif name in reader.vectors:
                    tensor.copy_(torch.tensor(reader.tensor(name)))
        after = reference_logits(model, ids)
    finally:
        model.load_state_dict(state)
    assert torch.allclose(before, after, atol=1e-3 * float(before.abs().max()))


def test_folding_lowers_the_error_of_the_outputs(checkpoint: Checkpoint) -> None:
    folder = checkpoint("llama")
    decoder, reader, power = folded(folder)
    layer, plain = decoder.layers[0], FoldedReader(tensor_entries(folder))
    before = int8_gains(plain, layer, Int4Recipe(power))
    after = int8_gains(reader, layer, Int4Recipe(folded_power(reader, power)))
    assert all(after[linear] < before[linear] for linear in (*layer.attention_in, *layer.mlp_in))


def test_rows_are_the_same_in_parts(checkpoint: Checkpoint) -> None:
    decoder, reader, _ = folded(checkpoint("phi3"))
    linear = decoder.layers[0].mlp_in[-1]
    assert linear.weight in reader.outputs
    parts = [reader.rows(linear, begin, begin + 100) for begin in range(0, linear.outputs, 100)]
    assert np.array_equal(np.concatenate(parts), reader.rows(linear))


def test_the_layers_whose_int8_form_helps_most_are_int8(checkpoint: Checkpoint) -> None:
    decoder = read_decoder(checkpoint("llama"))
    gains: dict[Linear, float] = dict.fromkeys(decoder.linears[:-1], 1.0)
    first = decoder.layers[1].attention_in[2]
    gains[first] = 2.0
    chosen = int8_weights(decoder, gains)
    assert first.weight in chosen
    sizes = {linear.weight: linear.inputs * linear.outputs for linear in gains}
    total = 2 * decoder.vocabulary * decoder.hidden + sum(sizes.values()) * INT4_BYTES
    added = sum(sizes[name] for name in chosen) * (1 - INT4_BYTES)
    assert 0 < added <= INT8_SHARE * total
