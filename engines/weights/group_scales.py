"""The scales of groups of int4 weights: the full range, or clipped where that costs the outputs least."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engines.weights.reader import Floats

Halves: TypeAlias = npt.NDArray[np.float16]

RATIOS = tuple(np.float32(1 - step / 20) for step in range(11))
"""How much of a group's range is kept. Clipping more than half of it was never chosen."""
SYMMETRIC_ZERO = 8
"""Where zero is among the 16 levels, unless each group has a zero point of its own."""


def group_scales(groups: Floats, power: Floats | None, *, zero_points: bool = False) -> tuple[Floats, Floats]:
    """Return the scale and the zero point of each group, both [outputs, groups, 1].

    Args:
        groups: the weights, [outputs, groups, group size].
        power: mean square of each input, [groups, group size]: the squared error of a weight counts as often.
            None keeps the full range, without a search.
        zero_points: whether each group has a zero point from 0 to 15, instead of SYMMETRIC_ZERO.
    """
    candidates = _ranges(groups) if zero_points else _signed(groups)
    scales, zeros = next(candidates)
    if power is None:
        return scales, zeros
    least = output_errors(groups, scales, zeros, power)
    for other, other_zeros in candidates:
        errors = output_errors(groups, other, other_zeros, power)
        better = errors < least
        least = np.where(better, errors, least)
        scales, zeros = np.where(better, other, scales), np.where(better, other_zeros, zeros)
    return scales, zeros


def rounded_to_levels(groups: Floats, scales: Floats, zeros: Floats) -> Floats:
    """Return the level of each weight, from 0 to 15, as floats of the shape of `groups`."""
    # A scale too small for float16 becomes zero, and its values are stored as zero.
    halves = as_stored(scales)
    inverse = np.divide(np.float32(1), halves, out=np.zeros_like(halves), where=halves != 0)
    levels = groups * inverse
    np.rint(levels, out=levels)
    levels += zeros
    return np.clip(levels, 0, 15, out=levels)


def as_stored(scales: Floats) -> Floats:
    """Return scales as rounded to float16, in fp32."""
    with np.errstate(over="ignore"):
        rounded: Floats = scales.astype(np.float16).astype(np.float32)
    return rounded


def output_errors(groups: Floats, scales: Floats, zeros: Floats, power: Floats) -> Floats:
    """Return the mean squared error that each group adds to its output, [outputs, groups, 1]."""
    error = rounded_to_levels(groups, scales, zeros)
    error -= zeros
    error *= as_stored(scales)
    error -= groups
    np.square(error, out=error)
    found: Floats = np.einsum("ogi,gi->og", error, power)[..., None]
    return found


def _signed(groups: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield scales with which the value of largest magnitude is -8, and with which it is 8, cut to 7."""
    largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[..., None], axis=2)
    scales = largest / np.float32(-8)
    zeros = np.full_like(scales, SYMMETRIC_ZERO)
    for ratio in RATIOS:
        yield scales * ratio, zeros
        yield scales * -ratio, zeros


def _ranges(groups: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield scales with which the levels cover the group's range, zero included."""
    low = np.minimum(groups.min(axis=2, keepdims=True), np.float32(0))
    high = np.maximum(groups.max(axis=2, keepdims=True), np.float32(0))
    scales = (high - low) / np.float32(15)
    steps = np.divide(-low, scales, out=np.zeros_like(scales), where=scales != 0)
    for ratio in RATIOS:
        yield scales * ratio, np.clip(np.rint(steps), 0, 15)
