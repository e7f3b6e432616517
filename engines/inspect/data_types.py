"""Names of number formats, as ONNX and TensorRT write them, in the words of this project."""

from __future__ import annotations

import re

BITS = {
    "fp64": 64,
    "fp32": 32,
    "fp16": 16,
    "bf16": 16,
    "fp8": 8,
    "fp4": 4,
    "int64": 64,
    "int32": 32,
    "int16": 16,
    "int8": 8,
    "uint8": 8,
    "int4": 4,
    "uint4": 4,
    "bool": 8,
}
INDICES = frozenset({"int64", "int32", "int16", "uint64", "uint32", "uint16", "bool", "string"})
"""Formats of shapes, axes and ids: constants in them do not count as weights."""

_ONNX = {
    "FLOAT": "fp32",
    "FLOAT16": "fp16",
    "BFLOAT16": "bf16",
    "DOUBLE": "fp64",
    "FLOAT4E2M1": "fp4",
    "FLOAT8E4M3FN": "fp8",
    "FLOAT8E4M3FNUZ": "fp8",
    "FLOAT8E5M2": "fp8",
    "FLOAT8E5M2FNUZ": "fp8",
    "FLOAT8E8M0": "e8m0",
}
_TENSORRT = (
    (r"bf16|bfloat16", "bf16"),
    (r"fp16|half|float16", "fp16"),
    (r"fp8|e4m3", "fp8"),
    (r"fp4|e2m1", "fp4"),
    (r"fp32|float", "fp32"),
    (r"uint8", "uint8"),
    (r"int8", "int8"),
    (r"int4", "int4"),
    (r"int64", "int64"),
    (r"int32", "int32"),
    (r"bool", "bool"),
)
"""Patterns for texts such as `Row major linear FP16 format` or `DataType.HALF`; the first match counts."""


def onnx_type(name: str) -> str:
    """Return the format of a name of `TensorProto.DataType`, such as `int8` of `INT8`."""
    return _ONNX.get(name, name.lower())


def tensorrt_type(text: str) -> str:
    """Return the format that a text of TensorRT names; the text itself if none is known."""
    lower = text.lower()
    return next((name for pattern, name in _TENSORRT if re.search(pattern, lower)), text)
