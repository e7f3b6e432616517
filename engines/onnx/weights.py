"""Weights of linear layers as ONNX constants: [inputs, outputs], in floats or quantised.

Quantised weights are followed by DequantizeLinear: the form that ONNX Runtime and TensorRT both read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from engines.errors import EngineError
from engines.onnx.model_file import ModelFile
from engines.plan.decoder.decoder import Linear
from engines.weights.quantise import int4_group, quantise_int4, quantise_int8
from engines.weights.reader import WeightReader

Array: TypeAlias = npt.NDArray[Any]
FP8_LARGEST = 448.0
"""The largest value of E4M3."""


@dataclass(frozen=True)
class FloatType:
    """A floating-point type of the graph."""

    element: int
    """Of TensorProto."""
    numpy: Any

    def cast(self, values: Array, name: str) -> Array:
        """Return `values` in this type.

        Raises:
            EngineError: `broken-weights`: a value is too large for it.
        """
        with np.errstate(over="ignore"):
            found: Array = values.astype(self.numpy)
        if self.numpy is np.float16 and not np.isfinite(found).all():
            raise EngineError(
                "broken-weights",
                f"{name} has values that are too large for fp16.",
                "Choose a precision that computes in BF16 or FP32.",
            )
        return found


FLOAT_TYPES = {
    "fp32": FloatType(TensorProto.FLOAT, np.float32),
    "fp16": FloatType(TensorProto.FLOAT16, np.float16),
    "bf16": FloatType(TensorProto.BFLOAT16, ml_dtypes.bfloat16),
}


@dataclass(frozen=True)
class WeightWriter:
    """Adds weights to a model."""

    file: ModelFile
    reader: WeightReader
    floats: FloatType
    """What the graph computes in, and the type of scales."""
    precision: str
    """A key of FLOAT_TYPES, `int8`, `int4` or `fp8`."""
    int8_rows: bool = False
    """Whether the embedding is stored in int8 where the head is."""
    tables: dict[str, str] = field(default_factory=dict)
    """Embeddings that were added, by name."""

    def linear(self, linear: Linear, *, is_head: bool = False) -> str:
        """Return the weight of a layer, [inputs, outputs] in `floats`.

        The head is never quantised below int8, and not to fp8; neither is a layer whose inputs no group of
        int4 divides.
        """
        if self.precision == "int8" or (
            self.precision == "int4" and (is_head or not int4_group(linear.inputs))
        ):
            return self._int8(linear)
        if self.precision == "int4":
            return self._int4(linear)
        if self.precision == "fp8" and not is_head:
            return self._fp8(linear)
        return self.file.constant(linear.weight, self._transposed(linear))

    @property
    def quantises_head(self) -> bool:
        """Whether the head is stored in int8."""
        return self.precision in ("int8", "int4")

    def rows(self, name: str, vocabulary: int, hidden: int, ids: str) -> str:
        """Return the rows `ids` ([1, T]) of the embedding, [1, T, hidden] in `floats`."""
        if not (self.int8_rows and self.quantises_head):
            return self.file.node("Gather", self.table(name, vocabulary, hidden), ids, name="embedding")
        found = quantise_int8(self.reader, Linear(name, hidden, vocabulary))
        values = self.file.constant(f"{name}.int8", found.values)
        scales = self.file.constant(f"{name}.scales", self._scales(found.scales, name))
        with self.file.scope("embedding"):
            chosen = self.file.node("Gather", values, ids, name="values")
            widened = self.file.node("Cast", chosen, name="widened", to=self.floats.element)
            return self.file.node("Mul", widened, self.file.node("Gather", scales, ids, name="scales"))

    def table(self, name: str, vocabulary: int, hidden: int) -> str:
        """Return the embedding in `floats`, [vocabulary, hidden]: one constant, however often it is used."""
        if name not in self.tables:
            values = np.empty((vocabulary, hidden), self.floats.numpy)
            for begin, rows in self.reader.chunks(Linear(name, hidden, vocabulary)):
                values[begin : begin + len(rows)] = self.floats.cast(rows, name)
            self.tables[name] = self.file.constant(name, values)
        return self.tables[name]

    def vector(self, name: str, floats: FloatType | None = None, offset: float = 0.0) -> str:
        """Return a tensor of the checkpoint, in `floats` or another type, with `offset` added."""
        kind = floats or self.floats
        values = self.reader.tensor(name)
        return self.file.constant(name, kind.cast(values + np.float32(offset) if offset else values, name))

    def _int8(self, linear: Linear) -> str:
        found = quantise_int8(self.reader, linear)
        values = self.file.constant(f"{linear.weight}.int8", np.ascontiguousarray(found.values.T))
        scales = self._scales(found.scales, linear.weight).reshape(-1)
        scale = self.file.constant(f"{linear.weight}.scales", scales)
        return self.file.node("DequantizeLinear", values, scale, name=f"{linear.weight}.dequantize", axis=1)

    def _int4(self, linear: Linear) -> str:
        group = int4_group(linear.inputs)
        assert group
        found = quantise_int4(self.reader, linear, group)
        shape = (linear.inputs, linear.outputs)
        packed = _packed(np.ascontiguousarray(found.values.T))
        values = self.file.constant(f"{linear.weight}.int4", packed, TensorProto.INT4, shape)
        scales = np.ascontiguousarray(self._scales(found.scales, linear.weight)[:, :, 0].T)
        scale = self.file.constant(f"{linear.weight}.scales", scales)
        return self.file.node(
            "DequantizeLinear", values, scale, name=f"{linear.weight}.dequantize", axis=0, block_size=group
        )

    def _fp8(self, linear: Linear) -> str:
        largest = max(float(np.abs(rows).max()) for _, rows in self.reader.chunks(linear))
        # A scale too small for 16 bits becomes zero, and with 1 its values are stored as zero.
        scale = self.floats.cast(np.array(largest / FP8_LARGEST), f"the scale of {linear.weight}") or 1.0
        values = np.empty((linear.inputs, linear.outputs), ml_dtypes.float8_e4m3fn)
        for begin, rows in self.reader.chunks(linear):
            # Rounding the scale to 16 bits may lift the largest value over the limit, which becomes NaN.
            scaled = np.clip(rows / np.float32(scale), -FP8_LARGEST, FP8_LARGEST)
            values[:, begin : begin + len(rows)] = scaled.T
        stored = self.file.constant(f"{linear.weight}.fp8", values)
        scales = self.file.constant(f"{linear.weight}.scale", np.array(scale, self.floats.numpy))
        return self.file.node("DequantizeLinear", stored, scales, name=f"{linear.weight}.dequantize")

    def _transposed(self, linear: Linear) -> Array:
        values = np.empty((linear.inputs, linear.outputs), self.floats.numpy)
        for begin, rows in self.reader.chunks(linear):
            values[:, begin : begin + len(rows)] = self.floats.cast(rows, linear.weight).T
        return values

    def _scales(self, scales: npt.NDArray[np.float16], name: str) -> Array:
        return self.floats.cast(scales.astype(np.float32), f"the scales of {name}")


def _packed(values: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Return two values of 4 bits in a byte, the first one in the low half."""
    nibbles = values.reshape(-1).view(np.uint8) & np.uint8(15)
    packed: npt.NDArray[np.uint8] = nibbles[0::2] | nibbles[1::2] << np.uint8(4)
    return packed
