"""Reading and quantising single tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engines.errors import EngineError
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import Linear
from engines.weights import reader as weights
from engines.weights.quantise import int4_group, quantise_int4, quantise_int8
from engines.weights.reader import WeightReader


def stored(folder: Path, tensor: torch.Tensor) -> WeightReader:
    folder.mkdir(exist_ok=True)
    # Preceded by an odd number of bytes: the format does not align tensors.
    save_file({"a": torch.zeros(3, dtype=torch.uint8), "w": tensor}, folder / "model.safetensors")
    return WeightReader(tensor_entries(folder))


LINEAR = Linear("w", inputs=128, outputs=24)
CONV1D = Linear("w", inputs=128, outputs=24, transposed=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_every_float_type_is_read_exactly(dtype: torch.dtype, tmp_path: Path) -> None:
    tensor = torch.randn(24, 128).to(dtype)
    reader = stored(tmp_path, tensor)
    assert np.array_equal(reader.tensor("w"), tensor.float().numpy())
    assert np.array_equal(reader.rows(LINEAR, 5, 9), tensor[5:9].float().numpy())
    kept = reader.stored(LINEAR, bfloat16=False)
    assert kept.nbytes == tensor.nbytes


def test_bfloat16_is_rounded_as_pytorch_rounds(tmp_path: Path) -> None:
    tensor = torch.randn(24, 128)
    tensor[0, :4] = torch.tensor([1.00390625, 1.01171875, 3e38, 1e-40])  # ties, the largest, a subnormal
    bits = stored(tmp_path, tensor).stored(LINEAR, bfloat16=True)
    assert np.array_equal(bits.view(np.int16), tensor.bfloat16().view(torch.int16).numpy())


def test_int8_is_off_by_half_a_step_at_most(tmp_path: Path) -> None:
    tensor = torch.randn(24, 128) * torch.logspace(-3, 3, 24)[:, None]
    int8 = quantise_int8(stored(tmp_path, tensor), LINEAR)
    scales = int8.scales.astype(np.float32)
    off = np.abs(int8.values.astype(np.float32) * scales - tensor.numpy())
    # Half a step, plus the effect of rounding the scale to float16 on the largest value.
    assert (off <= 0.5 * scales * 1.2 + 1e-6).all()
    assert int8.values.min() >= -127


def test_int4_is_off_by_half_a_step_except_at_the_positive_end(tmp_path: Path) -> None:
    tensor = torch.randn(24, 128)
    int4 = quantise_int4(stored(tmp_path, tensor), LINEAR, 64)
    assert int4.shape == (24, 2, 64)
    low, high = int4.packed & 15, int4.packed >> 4  # the lower nibble comes first
    values = np.stack([low, high], 1).astype(np.int8).reshape(int4.shape)
    values = np.where(values > 7, values - 16, values).astype(np.float32)
    scales = int4.scales.astype(np.float32)
    off = np.abs(values * scales - tensor.numpy().reshape(int4.shape)) / np.abs(scales)
    assert off.max() <= 1.01  # there is no level for +8
    assert np.mean(off <= 0.51) > 0.97
    assert (values.min(2) == -8).all()


@pytest.mark.parametrize("linear", [LINEAR, CONV1D], ids=["linear", "conv1d"])
def test_chunking_does_not_change_the_result(
    linear: Linear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = torch.randn(24, 128)
    reader = stored(tmp_path, tensor.T.contiguous() if linear.transposed else tensor)
    whole8, whole4 = quantise_int8(reader, linear), quantise_int4(reader, linear, 64)
    assert np.array_equal(reader.rows(linear), tensor.numpy())
    monkeypatch.setattr(weights, "CHUNK_ELEMENTS", 700)
    assert len(list(reader.chunks(linear))) == 5
    parts8, parts4 = quantise_int8(reader, linear), quantise_int4(reader, linear, 64)
    assert np.array_equal(whole8.values, parts8.values)
    assert np.array_equal(whole8.scales, parts8.scales)
    assert np.array_equal(whole4.packed, parts4.packed)
    assert np.array_equal(whole4.scales, parts4.scales)


def test_rows_of_zeros_stay_zeros(tmp_path: Path) -> None:
    tensor = torch.zeros(24, 128)
    tensor[3] = 1e-12  # its scale is below float16
    reader = stored(tmp_path, tensor)
    assert not quantise_int8(reader, LINEAR).values.any()
    assert not quantise_int4(reader, LINEAR, 64).packed.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    tensor = torch.randn(24, 128)
    tensor[20, 100] = value
    reader = stored(tmp_path, tensor)
    for read in (
        lambda: quantise_int8(reader, LINEAR),
        lambda: quantise_int4(reader, LINEAR, 64),
        lambda: reader.stored(LINEAR, bfloat16=False),
        lambda: reader.stored(LINEAR, bfloat16=True),
    ):
        with pytest.raises(EngineError) as caught:
            read()
        assert caught.value.code == "broken-weights"


def test_weights_too_large_for_a_float16_scale_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        quantise_int8(stored(tmp_path, torch.full((24, 128), 1e9)), LINEAR)
    assert caught.value.code == "broken-weights"


def test_the_group_size_divides_the_inputs() -> None:
    assert [int4_group(inputs) for inputs in (128, 96, 100)] == [64, 32, None]
