"""How many tokens two texts share at their start."""

from __future__ import annotations

from collections.abc import Sequence


def common_length(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the number of tokens that are equal at the start of both."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(a), len(b)))
