"""The noise floor of a comparison: how far the arithmetic alone moves the probabilities.

Engines that store the checkpoint's weights exactly differ from the reference by rounding only. A KL
divergence that is not larger than theirs says nothing about quantisation.
"""

from __future__ import annotations

from collections.abc import Iterable

from engines.compare.comparison import Row

EXACT = {"fp32": ("fp32",), "bf16": ("bf16", "fp32"), "fp16": ("fp16", "fp32")}
"""Precisions that hold every value of a checkpoint's type: fp32 has the exponents and digits of both others,
which do not hold each other's."""
MOST = 0.01
"""Nats. Rounding stays below; an engine with exact weights that is farther away computes something else, and
must not hide the others."""


def is_exact(precision: str, dtype: str) -> bool:
    """Return whether weights of this type can be stored in this precision without a change."""
    return precision in EXACT.get(dtype, ())


def noise_floor(reference: Row, rows: Iterable[Row], dtype: str) -> float | None:
    """Return the largest mean KLD of the engines with exact weights; None if none was compared.

    Args:
        reference: without exact weights of its own there is no floor.
        dtype: of the checkpoint; empty if it is quantised.
    """
    if not is_exact(reference.precision, dtype):
        return None
    values = [
        row.quality.mean_kld
        for row in rows
        if row.quality and not row.quality.at_least and is_exact(row.precision, dtype)
    ]
    return max((value for value in values if value < MOST), default=None)
