"""From safetensors to the constants of a graph: read by memory map, stored as asked, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engines.errors import EngineError
from engines.plan.checkpoint.tensors import TensorEntry
from engines.plan.decoder.decoder import Linear

Floats: TypeAlias = npt.NDArray[np.float32]
Halves: TypeAlias = npt.NDArray[np.float16]

CHUNK_ELEMENTS = 1 << 23
"""Values quantised at once: 32 MB of fp32, whatever the tensor's size."""
INT4_GROUPS = (64, 32)
"""Weights that share a scale, by preference; 64 costs a quarter of a bit each."""


@dataclass(frozen=True)
class Int8:
    """weight[o, i] = values[o, i] * scales[o, 0]."""

    values: npt.NDArray[np.int8]
    """[outputs, inputs]."""
    scales: Halves
    """[outputs, 1]."""


@dataclass(frozen=True)
class Int4:
    """weight[o, g, i] = values[o, g, i] * scales[o, g, 0]; two values a byte, the lower nibble first."""

    packed: npt.NDArray[np.uint8]
    """[outputs * inputs / 2]."""
    scales: Halves
    """[outputs, groups, 1]."""
    shape: tuple[int, int, int]
    """[outputs, groups, values a group]."""


@dataclass
class WeightReader:
    """Tensors of a checkpoint as fp32 arrays. F32 tensors are views of the file, not copies."""

    entries: Mapping[str, TensorEntry]
    read: Callable[[int], None] = lambda elements: None
    """Told how many values were just read, for progress."""
    _maps: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def tensor(self, name: str) -> Floats:
        """A whole tensor in its own shape.

        Raises:
            EngineError: `broken-weights`, a value is not finite.
        """
        return self._floats(name, self._stored(name))

    def stored(self, linear: Linear, bfloat16: bool) -> npt.NDArray[np.generic]:
        """A projection's weight, [outputs, inputs], as F32 or F16 numbers or as the 16 bits of bfloat16.

        Args:
            bfloat16: round to bfloat16; else the file's own type is kept, and where the layout is kept too
                the array is a view of the file.
        """
        if bfloat16 and self.entries[linear.weight].dtype != "BF16":
            bits = np.empty((linear.outputs, linear.inputs), np.uint16)
            for begin, rows in self.chunks(linear):
                bits[begin : begin + len(rows)] = _bfloat16(rows)
            return bits
        for _ in self.chunks(linear):  # for the check and the progress alone
            pass
        whole = self._stored(linear.weight)
        return np.ascontiguousarray(whole.T) if linear.transposed else whole

    def rows(self, linear: Linear, begin: int = 0, end: int | None = None) -> Floats:
        """Rows of a projection's weight as [outputs, inputs], however it is stored."""
        stored = self._stored(linear.weight)
        part = stored[:, begin:end].T if linear.transposed else stored[begin:end]
        return np.ascontiguousarray(self._floats(linear.weight, part))

    def chunks(self, linear: Linear) -> Iterator[tuple[int, Floats]]:
        """First row and rows of a projection's weight, at most CHUNK_ELEMENTS values at a time."""
        step = max(1, CHUNK_ELEMENTS // linear.inputs)
        for begin in range(0, linear.outputs, step):
            yield begin, self.rows(linear, begin, min(begin + step, linear.outputs))

    def _stored(self, name: str) -> npt.NDArray[np.generic]:
        """The tensor as it lies in the file; bfloat16 as its 16 bits."""
        entry = self.entries[name]
        key = str(entry.file)
        if key not in self._maps:
            # Copy on write: OpenVINO shares writeable memory only, and nothing here writes.
            self._maps[key] = np.memmap(entry.file, dtype=np.uint8, mode="c")
        raw = self._maps[key][entry.offset : entry.offset + entry.size]
        width = np.dtype({"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[entry.dtype])
        # A tensor may lie at any byte, and a view needs its own alignment.
        aligned = raw if entry.offset % width.itemsize == 0 else raw.copy()
        return aligned.view(width).reshape(entry.shape)

    def _floats(self, name: str, stored: npt.NDArray[np.generic]) -> Floats:
        if stored.dtype == np.uint16:
            values = (stored.astype(np.uint32) << 16).view(np.float32)
        else:
            values = stored.astype(np.float32, copy=False)
        # The sum of finite weights is finite: one pass without a temporary array.
        if not np.isfinite(np.sum(values, dtype=np.float64)):
            raise EngineError(
                "broken-weights", f"{name} holds a value that is no number.", "Download the checkpoint again."
            )
        self.read(values.size)
        return values


def _bfloat16(values: Floats) -> npt.NDArray[np.uint16]:
    """The upper half of each fp32, rounded to nearest, ties to even."""
    bits = values.view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)


def quantise_int8(reader: WeightReader, linear: Linear) -> Int8:
    """Symmetric int8 with one scale an output channel, rounded to nearest."""
    values = np.empty((linear.outputs, linear.inputs), np.int8)
    scales = np.empty((linear.outputs, 1), np.float16)
    for begin, rows in reader.chunks(linear):
        part = slice(begin, begin + len(rows))
        scales[part] = _half(np.abs(rows).max(axis=1, keepdims=True) / np.float32(127), linear)
        values[part] = _rounded(rows, scales[part], -127, 127)
    return Int8(values, scales)


def int4_group(inputs: int) -> int | None:
    """Weights that share an int4 scale; None where no group size divides the inputs."""
    return next((size for size in INT4_GROUPS if inputs % size == 0), None)


def quantise_int4(reader: WeightReader, linear: Linear, group: int) -> Int4:
    """Symmetric int4: the value of largest magnitude becomes -8, so that all sixteen levels are used."""
    shape = (linear.outputs, linear.inputs // group, group)
    packed = np.empty(linear.outputs * linear.inputs // 2, np.uint8)
    scales = np.empty((*shape[:2], 1), np.float16)
    for begin, rows in reader.chunks(linear):
        groups = rows.reshape(len(rows), *shape[1:])
        largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[..., None], axis=2)
        part = slice(begin, begin + len(rows))
        scales[part] = _half(largest / np.float32(-8), linear)
        nibbles = _rounded(groups, scales[part], -8, 7).reshape(-1).view(np.uint8) & 15
        first = begin * linear.inputs // 2
        packed[first : first + nibbles.size // 2] = nibbles[0::2] | nibbles[1::2] << 4
    return Int4(packed, scales, shape)


def _half(scales: Floats, linear: Linear) -> Halves:
    with np.errstate(over="ignore"):
        halves = scales.astype(np.float16)
    if not np.isfinite(halves).all():
        raise EngineError(
            "broken-weights",
            f"{linear.weight} holds values too large to quantise ({np.abs(scales).max():.1e} a step).",
            "Pick fp32, which stores them as they are.",
        )
    return halves


def _rounded(values: Floats, scales: Halves, low: int, high: int) -> npt.NDArray[np.int8]:
    steps: Floats = scales.astype(np.float32)
    # A scale too small for float16 is stored as zero, and so are its values.
    steps[steps == 0] = np.inf
    rounded: npt.NDArray[np.int8] = np.clip(np.rint(values / steps), low, high).astype(np.int8)
    return rounded
