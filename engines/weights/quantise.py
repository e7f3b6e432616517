"""Quantise the weight of a linear layer, rounded to nearest, chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engines.errors import EngineError
from engines.plan.decoder.decoder import Linear
from engines.weights.reader import Floats, WeightReader

Halves: TypeAlias = npt.NDArray[np.float16]
Int8Values: TypeAlias = npt.NDArray[np.int8]

INT4_GROUPS = (64, 32)
"""Group sizes in order of preference. With 64, the scales add a quarter of a bit per weight."""


@dataclass(frozen=True)
class Int8:
    """weight[o, i] = values[o, i] * scales[o, 0]."""

    values: Int8Values
    """[outputs, inputs]."""
    scales: Halves
    """[outputs, 1]."""


@dataclass(frozen=True)
class Int4:
    """weight[o, g, i] = values[o, g, i] * scales[o, g, 0]; two values per byte, low nibble first."""

    packed: npt.NDArray[np.uint8]
    """[outputs * inputs / 2]."""
    scales: Halves
    """[outputs, groups, 1]."""
    shape: tuple[int, int, int]
    """[outputs, groups, group size]."""

    @property
    def values(self) -> Int8Values:
        """The values from -8 to 7, [outputs, inputs]; a copy of twice the size."""
        bytes_ = self.packed.view(np.int8)
        values = np.empty((self.packed.size, 2), np.int8)
        values[:, 0] = (bytes_ << 4) >> 4  # the shift back keeps the sign
        values[:, 1] = bytes_ >> 4
        return values.reshape(self.shape[0], -1)


def quantise_int8(reader: WeightReader, linear: Linear) -> Int8:
    """Quantise to symmetric int8 with one scale per output channel, rounded to nearest."""
    values = np.empty((linear.outputs, linear.inputs), np.int8)
    scales = np.empty((linear.outputs, 1), np.float16)
    for begin, rows in reader.chunks(linear):
        part = slice(begin, begin + len(rows))
        scales[part] = _half(np.abs(rows).max(axis=1, keepdims=True) / np.float32(127), linear)
        values[part] = _rounded(rows, scales[part], -127, 127)
    return Int8(values, scales)


def int4_group(inputs: int) -> int | None:
    """Return the int4 group size; None if no group size divides the number of inputs."""
    return next((size for size in INT4_GROUPS if inputs % size == 0), None)


def quantise_int4(reader: WeightReader, linear: Linear, group: int) -> Int4:
    """Quantise to symmetric int4. The value of largest magnitude becomes -8, to use all 16 levels."""
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
            f"{linear.weight} has values too large to quantise (scale {np.abs(scales).max():.1e}).",
            "Choose fp32, which does not quantise.",
        )
    return halves


def _rounded(values: Floats, scales: Halves, low: int, high: int) -> npt.NDArray[np.int8]:
    steps: Floats = scales.astype(np.float32)
    # A scale too small for float16 becomes zero, and its values are stored as zero.
    steps[steps == 0] = np.inf
    rounded: npt.NDArray[np.int8] = np.clip(np.rint(values / steps), low, high).astype(np.int8)
    return rounded
