"""How the KL divergences of single tokens are spread: a line for each engine on one logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

from textual.content import Content

from app.terminal_text import displayable
from app.widgets.panels.drawing import MUTED, one_line
from engines.compare.comparison import Row

NAME_CELLS, LABEL_CELLS = 16, 7
SMALLEST = 1e-6
"""Divergences below are drawn here."""
TITLE = "KLD by token: ─ p1 to p99  ━ p10 to p90  ┃ median  · max"
LEAST_CELLS = 24
"""Of the axis; with less nothing is drawn."""


def spread(rows: Sequence[Row], chosen: str, width: int) -> Content | None:
    """Return the lines of the engines that have a quality, with a title and an axis; None if they do not fit.

    Args:
        chosen: title of the engine to point out.
        width: in cells.
    """
    known = [(row.title, row.quality.kld) for row in rows if row.quality]
    cells = width - NAME_CELLS
    if not known or cells < LEAST_CELLS:
        return None
    low = floor(log10(max(SMALLEST, min(found["1.0%"] for _, found in known))))
    high = max(low + 1, ceil(log10(max(SMALLEST, *(found["Maximum"] for _, found in known)))))
    lines = []
    for title, found in known:
        name = f"{one_line(displayable(title), NAME_CELLS - 1):<{NAME_CELLS}}"
        styles = ("bold", "$accent") if title == chosen else (MUTED, "$primary")
        lines.append(Content.assemble((name, styles[0]), (_line(found, low, high, cells), styles[1])))
    axis = " " * NAME_CELLS + _axis(low, high, cells)
    return Content("\n").join([Content.styled(TITLE, MUTED), *lines, Content.styled(axis, MUTED)])


def _place(value: float, low: int, high: int, cells: int) -> int:
    share = (log10(max(SMALLEST, value)) - low) / (high - low)
    return min(cells - 1, max(0, round(share * (cells - 1))))


def _line(found: Mapping[str, float], low: int, high: int, cells: int) -> str:
    drawn = [" "] * cells
    names = ("1.0%", "10.0%", "Median", "90.0%", "99.0%", "Maximum")
    first, start, middle, end, last, most = (_place(found[name], low, high, cells) for name in names)
    drawn[most] = "·"
    drawn[first : last + 1] = "─" * (last + 1 - first)
    drawn[start : end + 1] = "━" * (end + 1 - start)
    drawn[middle] = "┃"
    return "".join(drawn)


def _axis(low: int, high: int, cells: int) -> str:
    """Return powers of ten below their places, as many as fit at equal distances."""
    step = ceil(LABEL_CELLS * (high - low) / cells)
    text = ""
    for power in range(low, high + 1, step):
        label = f"{10.0**power:g}"
        start = min(_place(10.0**power, low, high, cells), cells - len(label))
        text = f"{text:<{start}}{label}"
    return text
