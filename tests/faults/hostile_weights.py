"""Hostile safetensors files and indexes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.faults.hostile_case import Case, content

FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
EMBEDDING, NORM = "model.embed_tokens.weight", "model.norm.weight"
QUERY, DOWN = "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.down_proj.weight"
HEAD = "lm_head.weight"
Header = dict[str, Any]


def read_weights(file: Path) -> tuple[Header, bytearray]:
    """Return the header and the body of a safetensors file."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])


def write_weights(file: Path, header: Header, body: bytes) -> None:
    """Write a safetensors file."""
    raw = json.dumps(header).encode()
    file.write_bytes(len(raw).to_bytes(8, "little") + raw + body)


def values(tensor: str, change: Callable[[npt.NDArray[np.float32]], object]) -> Case:
    """Return the case that changes the values of an F32 tensor in place."""

    def case(folder: Path) -> None:
        header, body = read_weights(folder / FILE)
        begin, end = header[tensor]["data_offsets"]
        change(np.frombuffer(body, np.float32, (end - begin) // 4, begin))
        write_weights(folder / FILE, header, body)

    return case


def everywhere(value: float) -> Case:
    """Return the case that sets every value of every tensor."""

    def case(folder: Path) -> None:
        header, body = read_weights(folder / FILE)
        np.frombuffer(body, np.float32)[:] = value
        write_weights(folder / FILE, header, body)

    return case


def _header(change: Callable[[Header], object]) -> Case:
    def case(folder: Path) -> None:
        header, body = read_weights(folder / FILE)
        change(header)
        write_weights(folder / FILE, header, body)

    return case


def _raw(change: Callable[[bytes], bytes]) -> Case:
    return lambda folder: (folder / FILE).write_bytes(change((folder / FILE).read_bytes())) and None


def _entry(tensor: str, **fields: object) -> Case:
    return _header(lambda header: header[tensor].update(fields))


def _index(value: object) -> Case:
    return content(INDEX, json.dumps(value))


def _fill(value: float) -> Callable[[npt.NDArray[np.float32]], object]:
    return lambda found: found.fill(value)


def _one(value: float, place: int = -1) -> Callable[[npt.NDArray[np.float32]], object]:
    return lambda found: found.__setitem__(place, value)


def _long_header(folder: Path) -> None:
    raw = b'{"a":[' + b"[]," * 10_000_000 + b"[]]}"
    (folder / FILE).write_bytes(len(raw).to_bytes(8, "little") + raw)


def _overlap(header: Header) -> None:
    first = header[QUERY]["data_offsets"]
    header["model.layers.1.self_attn.q_proj.weight"]["data_offsets"] = list(first)


def _sparse(folder: Path) -> None:
    with (folder / FILE).open("r+b") as stream:
        stream.truncate(1 << 40)


WEIGHTS: dict[str, Case] = {
    f"{word} in {name}": values(tensor, change)
    for word, change in (
        ("one NaN", _one(float("nan"))),
        ("one infinity", _one(float("inf"), 0)),
        ("one negative infinity", _one(float("-inf"), 7)),
        ("only NaN", _fill(float("nan"))),
        ("only zeros", _fill(0.0)),
        ("only negative zeros", _fill(-0.0)),
        ("only the largest number", _fill(3.4e38)),
    )
    for name, tensor in (
        ("the embedding", EMBEDDING),
        ("a query", QUERY),
        ("the norm", NORM),
        ("the head", HEAD),
    )
} | {
    "all zero": everywhere(0.0),
    "all NaN": everywhere(float("nan")),
    "all 1e30": everywhere(1e30),
    "all one": everywhere(1.0),
    "tiny numbers in the last layer": values(DOWN, _fill(1e-45)),
    "empty": content(FILE, b""),
    "four bytes": content(FILE, b"\0\0\0\0"),
    "only a length": content(FILE, (1 << 62).to_bytes(8, "little")),
    "cut off": _raw(lambda data: data[:-1000]),
    "cut off in the header": _raw(lambda data: data[:100]),
    "longer than its tensors": _raw(lambda data: data + bytes(1000)),
    "a pickle": content(FILE, b"\x80\x04cos\nsystem\n(S'true'\ntR."),
    "gguf": content(FILE, b"GGUF" + bytes(1000)),
    "header of 30 MB of arrays": _long_header,
    "header is not json": _raw(lambda data: data[:8] + b"x" + data[9:]),
    "header is nested": content(FILE, (400_000).to_bytes(8, "little") + b"[" * 400_000),
    "a sparse terabyte": _sparse,
    "no tensors": _header(lambda header: header.clear()),
    "tensors overlap": _header(_overlap),
    "tensors overlap partly": _entry(DOWN, data_offsets=[4, 4 + 128 * 256 * 4]),
    "a tensor is missing": _header(lambda header: header.pop(QUERY)),
    "the embedding is missing": _header(lambda header: header.pop(EMBEDDING)),
    "the head is missing": _header(lambda header: header.pop(HEAD)),
    "a tensor too much": _header(
        lambda header: header.update({"model.layers.0.extra.weight": dict(header[NORM])})
    ),
    "a name with escapes": _header(lambda header: header.update({"\x1b[31m\nx": header.pop(QUERY)})),
    "a name of 100 kB": _header(lambda header: header.update({"x" * 100_000: header.pop(QUERY)})),
    "transposed": _entry(DOWN, shape=[256, 128]),
    "shape with a zero": _entry(DOWN, shape=[0, 128], data_offsets=[0, 0]),
    "shape of another rank": _entry(DOWN, shape=[128 * 256]),
    "shape is negative": _entry(DOWN, shape=[-128, -256]),
    "shape is enormous": _entry(DOWN, shape=[2**62, 2**62]),
    "shape of a thousand dimensions": _entry(DOWN, shape=[1] * 1000),
    "shape is text": _entry(DOWN, shape="x"),
    "offsets beyond the file": _entry(DOWN, data_offsets=[2**40, 2**40 + 128 * 256 * 4]),
    "offsets backwards": _entry(DOWN, data_offsets=[128 * 256 * 4, 0]),
    "offsets unaligned": _header(lambda header: header.update(__metadata__={"a": "b"})),
    "type unknown": _entry(DOWN, dtype="F7"),
    "type of integers": _entry(DOWN, dtype="I32"),
    "type of another size": _entry(DOWN, dtype="F16"),
    "type is 8 bits": _entry(DOWN, dtype="F8_E4M3", shape=[512, 256]),
    "scales of zero": _header(
        lambda header: header.update(
            {f"{QUERY}_scale": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}
        )
    ),
    "index: not json": content(INDEX, "{"),
    "index: empty": _index({}),
    "index: names another folder": _index({"weight_map": {EMBEDDING: "../model.safetensors"}}),
    "index: names an absolute path": _index({"weight_map": {EMBEDDING: "/dev/zero"}}),
    "index: names a missing file": _index({"weight_map": {EMBEDDING: "nosuch.safetensors"}}),
    "index: names the config": _index({"weight_map": {EMBEDDING: "config.json"}}),
    "index: names one tensor": _index({"weight_map": {EMBEDDING: FILE}}),
    "index: numbers": _index({"weight_map": {EMBEDDING: 7}}),
    "index: a list": _index([1]),
    "index: 40 MB of arrays": content(INDEX, b'{"a":[' + b"[]," * 13_000_000 + b"[]]}"),
}
