"""Quantise rows of a weight to a type of GGUF files: by the package `gguf`, or by llama.cpp's own code.

The package writes no K-quants. llama.cpp's function for all types is in xllamacpp's library, which exports it
on Linux and macOS. Its arguments, by ggml.h: type, values, result, start, rows, values of a row, importance.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Type

from engines.errors import EngineError
from engines.weights.reader import Floats

BY_LLAMA_CPP = frozenset({Type.Q4_K, Type.Q5_K, Type.Q6_K})


def quantise(rows: Floats, kind: Type, importance: Floats | None = None) -> npt.NDArray[np.uint8]:
    """Return the bytes of rows in a type.

    Args:
        rows: [rows, inputs], or a vector.
        importance: how much the error of each input's weights counts, [inputs]; None: all the same.

    Raises:
        EngineError: `unsupported-precision`: this build of xllamacpp does not export the function.
    """
    if kind not in BY_LLAMA_CPP and (importance is None or kind not in (Type.Q5_0, Type.Q5_1)):
        return np.ascontiguousarray(gguf.quantize(rows, kind)).view(np.uint8)
    values = np.ascontiguousarray(rows, np.float32)
    inputs = values.shape[-1]
    count = values.size // inputs
    result = np.empty(gguf.quant_shape_to_byte_shape(values.shape, kind), np.uint8)
    weights = None if importance is None else np.ascontiguousarray(importance, np.float32)
    if weights is not None and weights.shape != (inputs,):
        raise ValueError(f"an importance for each of {inputs} inputs is needed, not {weights.shape}")
    written = _function()(int(kind), _address(values), _address(result), 0, count, inputs, _address(weights))
    assert written == result.nbytes
    return result


def _address(values: npt.NDArray[Any] | None) -> int | None:
    return None if values is None else values.ctypes.data


@cache
def _function() -> Any:
    from xllamacpp import xllamacpp

    try:
        found = ctypes.CDLL(xllamacpp.__file__).ggml_quantize_chunk
    except (OSError, AttributeError) as error:
        raise EngineError(
            "unsupported-precision",
            "This build of xllamacpp does not export llama.cpp's quantisation, which K-quants need.",
            "Choose Q8_0 or Q4_0.",
        ) from error
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    found.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
    found.restype = ctypes.c_size_t
    return found
