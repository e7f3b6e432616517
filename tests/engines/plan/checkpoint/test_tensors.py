"""Safetensors headers that are read and that are refused. test_checkpoint_fuzz.py has the fuzz test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.plan.checkpoint.tensors import header_digest, tensor_entries, weight_files
from tests.engines.plan.folders import safetensors


def write_header(folder: Path, header: object, body: int = 64) -> None:
    raw = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(body))


def test_entries_have_the_offset_and_size_of_each_tensor(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    whole = bytearray(safetensors({"a": (2, 3), "b": (4,)}, "BF16"))
    whole[-8:] = b"12345678"
    file.write_bytes(whole)
    entry = tensor_entries(tmp_path)["b"]
    assert (entry.dtype, entry.shape, entry.size, entry.elements) == ("BF16", (4,), 8, 4)
    assert file.read_bytes()[entry.offset : entry.offset + entry.size] == b"12345678"


def test_scalars_and_empty_tensors_are_tensors(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"scalar": (), "empty": (0, 4)}))
    sizes = {name: (entry.elements, entry.size) for name, entry in tensor_entries(tmp_path).items()}
    assert sizes == {"scalar": (1, 4), "empty": (0, 0)}


def test_four_bit_types_take_half_a_byte(tmp_path: Path) -> None:
    write_header(tmp_path, {"x": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}}, body=2)
    assert tensor_entries(tmp_path)["x"].size == 2


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 15]},
        {"dtype": "F32", "shape": [400], "data_offsets": [0, 1600]},
        {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]},
        {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]},
        {"dtype": "F31", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [1] * 17, "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [4]},
        {"dtype": "F32", "shape": 4, "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 8, 16]},
        [],
        None,
    ],
)
def test_invalid_entries_are_refused(tmp_path: Path, entry: object) -> None:
    write_header(tmp_path, {"x": entry})
    with pytest.raises(EngineError) as caught:
        tensor_entries(tmp_path)
    assert caught.value.code == "broken-weights"


@pytest.mark.parametrize("whole", [b"", b"1234567", (2**63).to_bytes(8, "little"), bytes(8), bytes(100)])
def test_invalid_header_lengths_are_refused(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(whole)
    with pytest.raises(EngineError) as caught:
        tensor_entries(tmp_path)
    assert caught.value.code == "broken-weights"


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "", "x" * 300, "a\x00", 7]
)
def test_an_index_names_plain_files_only(tmp_path: Path, name: object) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
    with pytest.raises(EngineError) as caught:
        weight_files(tmp_path)
    assert caught.value.code == "broken-weights"


def test_pickled_weights_are_not_weights(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(EngineError) as caught:
        weight_files(tmp_path)
    assert caught.value.code == "missing-weights"
    assert "safetensors" in caught.value.hint


def test_a_folder_where_a_file_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(EngineError) as caught:
        weight_files(tmp_path)
    assert caught.value.code == "missing-weights"


def test_the_digest_is_of_the_header_alone(tmp_path: Path) -> None:
    one, other, third = (tmp_path / f"{name}.safetensors" for name in "abc")
    whole = safetensors({"x": (4,)})
    one.write_bytes(whole)
    other.write_bytes(whole[:-1] + b"1")
    third.write_bytes(safetensors({"y": (4,)}))
    assert header_digest(one) == header_digest(other) != header_digest(third)
