"""Quantise the weight of a linear layer, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engines.errors import EngineError
from engines.plan.decoder.decoder import Linear
from engines.weights.group_scales import SYMMETRIC_ZERO, Halves, group_scales, rounded_to_levels
from engines.weights.reader import Floats, WeightReader

Int8Values: TypeAlias = npt.NDArray[np.int8]

INT4_GROUPS = (64, 32)
"""Group sizes in order of preference. With 64, the scales add a quarter of a bit per weight."""
BLOCK_ELEMENTS = 1 << 17
"""Values that are searched for a scale together: their arrays stay in a core's cache."""


@dataclass(frozen=True)
class Int8:
    """weight[o, i] = values[o, i] * scales[o, 0]."""

    values: Int8Values
    """[outputs, inputs]."""
    scales: Halves
    """[outputs, 1]."""


@dataclass(frozen=True)
class Int4:
    """weight[o, g, i] = (levels[o, g, i] - zeros[o, g, 0]) * scales[o, g, 0].

    Without zero points the stored values are levels - 8. Two of them are in a byte, low nibble first.
    """

    packed: npt.NDArray[np.uint8]
    """[outputs * inputs / 2]: values from -8 to 7, or levels from 0 to 15 where there are zero points."""
    scales: Halves
    """[outputs, groups, 1]."""
    shape: tuple[int, int, int]
    """[outputs, groups, group size]."""
    zeros: npt.NDArray[np.uint8] | None = None
    """[outputs, groups, 1], from 0 to 15; None for symmetric groups."""

    @property
    def values(self) -> Int8Values:
        """The values from -8 to 7 of symmetric groups, [outputs, inputs]; a copy of twice the size."""
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


def quantise_int4(
    reader: WeightReader,
    linear: Linear,
    group: int,
    power: Floats | None = None,
    *,
    zero_points: bool = False,
) -> Int4:
    """Quantise to int4 in groups along the inputs.

    Args:
        power: mean square of each input of the layer, [inputs]: groups are clipped where that lowers the
            error of the outputs. None keeps the full range of each group.
        zero_points: see `group_scales`; the groups are symmetric without.
    """
    shape = (linear.outputs, linear.inputs // group, group)
    packed = np.empty((linear.outputs, linear.inputs // 2), np.uint8)
    scales = np.empty((*shape[:2], 1), np.float16)
    zeros = np.empty((*shape[:2], 1), np.uint8)
    weights = None if power is None else power.reshape(shape[1:])

    def quantise(block: tuple[int, Floats]) -> None:
        begin, rows = block
        part = slice(begin, begin + len(rows))
        groups = rows.reshape(len(rows), *shape[1:])
        found, zero = group_scales(groups, weights, zero_points=zero_points)
        scales[part], zeros[part] = _half(found, linear), zero
        levels = rounded_to_levels(groups, found, zero).astype(np.uint8)
        if not zero_points:
            levels = (levels - np.uint8(SYMMETRIC_ZERO)) & np.uint8(15)
        packed[part] = packed_nibbles(levels.reshape(len(rows), -1))

    with ThreadPoolExecutor(cpu_count()) as threads:
        for begin, rows in reader.chunks(linear):
            list(threads.map(quantise, _blocks(begin, rows)))
    return Int4(packed.reshape(-1), scales, shape, zeros if zero_points else None)


def packed_nibbles(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return two values of 4 bits in a byte along the last axis, the first one in the low half."""
    packed: npt.NDArray[np.uint8] = values[..., 0::2] | values[..., 1::2] << np.uint8(4)
    return packed


def _blocks(begin: int, rows: Floats) -> Iterator[tuple[int, Floats]]:
    step = max(1, BLOCK_ELEMENTS // rows.shape[1])
    for first in range(0, len(rows), step):
        yield begin + first, rows[first : first + step]


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
