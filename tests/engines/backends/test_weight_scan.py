"""Weights that cannot be right are found before an engine is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engines.backends.weight_scan import BLOCK_BYTES, scan_weights
from engines.errors import EngineError
from tests.engines.plan.folders import LLAMA

QUERY = "model.layers.0.self_attn.q_proj.weight"
NAN, INFINITY = float("nan"), float("inf")
BITS = {
    "F64": lambda value: np.float64(value).tobytes(),
    "F32": lambda value: np.float32(value).tobytes(),
    "F16": lambda value: np.float16(value).tobytes(),
    "BF16": lambda value: np.float32(value).tobytes()[2:],
    "F8_E5M2": lambda value: np.float16(value).tobytes()[1:],
}


def write(
    folder: Path, tensors: dict[str, tuple[str, list[int], bytes]], config: dict[str, object] = LLAMA
) -> Path:
    """Write a checkpoint with these tensors: type, shape and bytes."""
    entries, body = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    raw = json.dumps(entries).encode()
    (folder / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + body)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(EngineError) as caught:
        scan_weights(folder)
    assert caught.value.code == "broken-weights"
    return caught.value.message


@pytest.mark.parametrize("value", [NAN, -NAN, INFINITY, -INFINITY])
@pytest.mark.parametrize("dtype", BITS)
def test_one_value_that_is_not_finite_is_found(tmp_path: Path, dtype: str, value: float) -> None:
    good = [BITS[dtype](number) for number in (1.0, -2.0, 0.0, 57344.0 if "8" in dtype else 60000.0, -1e-3)]
    ok = ("F32", [1], np.float32(1).tobytes())
    scan_weights(write(tmp_path, {"ok.weight": ok, QUERY: (dtype, [1, 5], b"".join(good))}))
    bad = b"".join([*good[:4], BITS[dtype](value)])
    message = refusal(write(tmp_path, {"ok.weight": ok, QUERY: (dtype, [1, 5], bad)}))
    assert message == f"{QUERY} contains NaN or infinity."


def test_the_only_nan_of_e4m3_is_found(tmp_path: Path) -> None:
    scan_weights(write(tmp_path, {QUERY: ("F8_E4M3", [1, 2], b"\x7e\xfe")}))  # ±448, the largest
    for bad in (b"\x00\x7f", b"\x01\xff"):
        assert "NaN" in refusal(write(tmp_path, {QUERY: ("F8_E4M3", [1, 2], bad)}))


def test_a_value_in_the_last_block_is_found(tmp_path: Path) -> None:
    values = np.ones(BLOCK_BYTES // 4 + 3, np.float32)
    values[-1] = np.nan
    assert "NaN" in refusal(write(tmp_path, {QUERY: ("F32", [1, len(values)], values.tobytes())}))


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize(
    ("name", "shape", "refused"),
    [
        (QUERY, [2, 2], True),
        ("model.norm.weight", [4], True),
        ("model.layers.0.self_attn.q_proj.weight_scale", [4], True),
        ("model.layers.0.self_attn.q_proj.bias", [4], False),
        ("model.norm.bias", [4], False),
        ("model.layers.0.attn.bias", [2, 2], False),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", [4], False),
        ("model.layers.0.weight_zero_point", [4], False),
    ],
)
def test_zeros_are_refused_where_no_model_has_them(
    tmp_path: Path, name: str, shape: list[int], refused: bool, zero: float
) -> None:
    folder = write(tmp_path, {name: ("F32", shape, np.full(4, zero, np.float32).tobytes())})
    if refused:
        assert refusal(folder) == f"{name} is all zero."
    else:
        scan_weights(folder)


def test_norms_around_zero_may_be_zero(tmp_path: Path) -> None:
    zeros = {"model.norm.weight": ("F32", [4], bytes(16))}
    scan_weights(write(tmp_path, zeros, LLAMA | {"model_type": "gemma3_text"}))
    assert refusal(write(tmp_path, zeros)) == "model.norm.weight is all zero."


def test_packed_integers_need_a_quantisation_and_may_be_zero(tmp_path: Path) -> None:
    packed = {QUERY: ("U8", [2, 2], bytes(4)), "none": ("F32", [0, 4], b"")}
    assert (
        refusal(write(tmp_path, packed)) == f"{QUERY} has the type U8, and config.json has no quantisation."
    )
    scan_weights(write(tmp_path, packed, LLAMA | {"quantization_config": {"quant_method": "gptq"}}))


def test_unaligned_tensors_are_read(tmp_path: Path) -> None:
    odd = ("U8", [1], b"\1")
    values = np.array([1.0, np.nan], np.float32).tobytes()
    assert "NaN" in refusal(write(tmp_path, {"odd": odd, QUERY: ("F32", [1, 2], values)}))
