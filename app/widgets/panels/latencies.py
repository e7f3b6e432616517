"""Histograms of inter-token latencies, on one logarithmic axis for both sides."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import pairwise
from math import ceil

from textual.content import Content

from app.state.side.snapshot import Snapshot
from app.units import seconds_text
from app.widgets.panels.drawing import LEVELS, MUTED
from engines.measure.timing import percentile

WINDOW = (0.5, 99.5)
"""Percentiles at the ends of the axis: a single gap of a second would squeeze all others into one cell."""

Ends = tuple[float, float]
"""Shortest and longest gap on the axis, in seconds."""


@lru_cache(maxsize=4)
def _sorted(gaps: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted(gaps))


def gap_axis(snapshot: Snapshot) -> Ends | None:
    """Return the ends of the axis of both histograms; None if no gap was measured."""
    ends = [
        percentile(_sorted(side.gaps), percent)
        for side in (snapshot.left, snapshot.right)
        if side.gaps
        for percent in WINDOW
    ]
    return (max(1e-6, min(ends)), max(ends)) if ends else None


def gap_percentile(gaps: tuple[float, ...], percent: float) -> float | None:
    """Return a percentile of the gaps in seconds; None without gaps."""
    return percentile(_sorted(gaps), percent) if gaps else None


def histogram(gaps: tuple[float, ...], ends: Ends, cells: int, rows: int) -> list[str]:
    """Return a histogram of `rows` lines of `cells`; blank where no gap was measured."""
    counts = _counts(gaps, ends, cells)
    most = max(counts, default=0)
    heights = [ceil(count / most * rows * len(LEVELS)) if count else 0 for count in counts]
    return ["".join(_cell(height - row * len(LEVELS)) for height in heights) for row in reversed(range(rows))]


def scale(ends: Ends, cells: int) -> Content:
    """Return the labels of the axis: its ends, and its middle if there is space."""
    low, high = ends
    texts = [seconds_text(low), seconds_text((low * high) ** 0.5), seconds_text(high)]
    gap = cells - sum(map(len, texts))
    if gap < 4:
        return Content.styled(f"{texts[0]}{texts[2]:>{max(0, cells - len(texts[0]))}}", MUTED)
    return Content.styled(f"{texts[0]}{' ' * (gap // 2)}{texts[1]}{' ' * (gap - gap // 2)}{texts[2]}", MUTED)


def _counts(gaps: tuple[float, ...], ends: Ends, cells: int) -> list[int]:
    """Return the number of gaps in each cell; those beyond the ends count in the first and last."""
    low, high = ends
    ordered = _sorted(gaps)
    edges = [low * (high / low) ** (cell / cells) for cell in range(1, cells)]
    below = [0, *(bisect_right(ordered, edge) for edge in edges), len(ordered)]
    return [after - before for before, after in pairwise(below)]


def _cell(height: int) -> str:
    return LEVELS[min(height, len(LEVELS)) - 1] if height > 0 else " "
