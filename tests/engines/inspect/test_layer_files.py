"""Layers of the network and of the compiled engine, in every form that a library or a stranger may write."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from engines.inspect.inspection import Row
from engines.inspect.layer_files import MAX_LAYER_BYTES, read_engine, read_network
from tests.engines.inspect.layers import write_layers


def test_the_network_lists_its_layers(tmp_path: Path) -> None:
    """Sizes that vary are a question mark; a rank that is not known is no shape."""
    found = read_network(write_layers(tmp_path))
    assert found.exists
    assert not found.problem
    assert found.rows[1] == Row(
        "layers.0/attention/query", "MATRIX_MULTIPLY", precision="fp16", shape=(1, "?", 256)
    )
    assert found.rows[2].shape is None
    assert found.rows[4].precision == "bool"


def test_the_engine_lists_what_was_fused_and_what_it_took(tmp_path: Path) -> None:
    rows = {row.name: row for row in read_engine(write_layers(tmp_path)).rows}
    fused = rows["layers.0/attention/query + layers.0/attention/key"]
    assert fused == Row(
        "layers.0/attention/query + layers.0/attention/key",
        "gemm",
        "fp16",
        "int8",
        98304,
        (1, "?", 384),
        41.5,
        ("layers.0/attention/query", "layers.0/attention/key"),
    )
    assert rows["__myl_SigmMul_0"].parts == ("layers.0/mlp/sigmoid", "layers.0/mlp/silu")
    assert rows["__myl_SigmMul_0"].precision == "bf16"
    assert rows["{ForeignNode[layers.1/mlp/norm...layers.1/mlp/add]}"].parts == (
        "layers.1/mlp/norm … layers.1/mlp/add",
    )
    assert rows["[Fused] head"].parts == ("head",)
    assert rows["mask"] == Row("mask", microseconds=0.5)
    assert rows["Reformatting CopyNode"] == Row("Reformatting CopyNode", microseconds=1.0)


def test_an_engine_that_no_gpu_has_run_has_a_network_only(tmp_path: Path) -> None:
    write_layers(tmp_path, ran=False)
    assert len(read_network(tmp_path).rows) == 5
    assert not read_engine(tmp_path).exists


def test_times_alone_are_listed(tmp_path: Path) -> None:
    """Where the library lists no layers."""
    write_layers(tmp_path)
    (tmp_path / "engine_layers.json").unlink()
    found = read_engine(tmp_path)
    assert found.exists
    assert len(found.rows) == 4
    assert found.rows[0].parts == ("layers.0/attention/query", "layers.0/attention/key")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'"text"',
        b"7",
        b"null",
        b'{"Layers": 3}',
        b"[" * 200_000,
        b"\xff\xfe",
        b"{" + b"," * 2_000_000,
    ],
)
def test_damaged_files_give_a_sentence(tmp_path: Path, content: bytes) -> None:
    for name in ("layers.json", "engine_layers.json"):
        (tmp_path / name).write_bytes(content)
    for found in (read_network(tmp_path), read_engine(tmp_path)):
        assert found.problem.startswith(found.file)
        assert found.problem.endswith(".")
        assert not found.rows


def test_damaged_times_leave_the_layers(tmp_path: Path) -> None:
    write_layers(tmp_path)
    (tmp_path / "layer_times.json").write_text("[1, 2]")
    found = read_engine(tmp_path)
    assert "layer_times.json" in found.problem
    assert len(found.rows) == 5


@pytest.mark.parametrize("name", ["layers.json", "engine_layers.json", "layer_times.json"])
def test_only_regular_files_of_a_limited_size_are_read(tmp_path: Path, name: str) -> None:
    """A pipe would wait for ever, and a file of terabytes would fill the memory."""
    os.mkfifo(tmp_path / name)
    listing = read_network(tmp_path) if name == "layers.json" else read_engine(tmp_path)
    assert "named pipe" in listing.problem
    (tmp_path / name).unlink()
    with (tmp_path / name).open("wb") as stream:
        stream.truncate(1 << 40)
    listing = read_network(tmp_path) if name == "layers.json" else read_engine(tmp_path)
    assert f"larger than {MAX_LAYER_BYTES:,} bytes" in listing.problem


STRANGE = [
    {},
    7,
    None,
    ["a", "list"],
    {"name": 5, "type": [], "precision": {}, "shape": "1x2", "fused": "no list"},
    {"name": "x" * 100_000, "shape": [1 << 80, -1, None, "T", 1.5], "fused": [1, {}, "\ud800"] * 1000},
    {"Name": "half \ud83d", "Outputs": ["text"], "Weights": {"Type": "Half", "Count": -3}},
    {"Name": "\x1b[31mred\x07", "Outputs": [], "Weights": {"Type": "Unknown", "Count": 3}, "Metadata": 9},
    {"Name": "big", "Weights": {"Type": "Float", "Count": 1 << 100}, "Metadata": "\x1e" * 1000},
]


def test_layers_of_any_form_become_rows_that_json_can_hold(tmp_path: Path) -> None:
    for name in ("layers.json", "engine_layers.json"):
        (tmp_path / name).write_text(json.dumps({"layers": STRANGE}))
    (tmp_path / "layer_times.json").write_text(
        '{"big": NaN, "a": 1e999, "b": "1", "c": true, "d": -1, "e": 2}'
    )
    for found in (read_network(tmp_path), read_engine(tmp_path)):
        assert not found.problem
        assert len(found.rows) >= len(STRANGE)
        assert len(msgspec.json.encode(found)) < 200_000
    assert [row.name for row in found.rows if row.microseconds is not None] == ["e"]
