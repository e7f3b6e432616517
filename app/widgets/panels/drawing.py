"""Text drawings of the panels: stacked bars, sparklines, and lines that fit a width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from app.state.side.rate_series import WINDOW_SECONDS

MUTED = "$foreground-muted"
"""Style of labels and secondary text."""
LEVELS = "▁▂▃▄▅▆▇█"
FREE = "·"

Samples = Sequence[tuple[float, float]]
"""(time, value), oldest first."""


@dataclass(frozen=True)
class BarPart:
    """One segment of a stacked bar. Glyphs differ too, so that bars are readable without colours."""

    amount: float
    glyph: str
    style: str


def share_cells(amounts: Sequence[float], total: float, width: int) -> list[int]:
    """Divide `width` cells among amounts out of `total`; every positive amount gets at least one cell.

    Amounts above the total are scaled down, so that the sum of cells never exceeds the width.
    """
    amounts = [amount if isfinite(amount) and amount > 0 else 0.0 for amount in amounts]
    scale = max(total if isfinite(total) else 0.0, sum(amounts))
    if width <= 0 or scale <= 0:
        return [0] * len(amounts)
    exact = [amount / scale * width for amount in amounts]
    cells = [max(1, floor(share)) if share > 0 else 0 for share in exact]
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    wanted = min(width, round(sum(exact)))
    by_remainder = sorted(range(len(exact)), key=lambda i: cells[i] - exact[i])
    for i in by_remainder[: max(0, wanted - sum(cells))]:
        cells[i] += 1
    return cells


def stacked_bar(parts: Sequence[BarPart], total: float, width: int) -> Content:
    """Return a bar of `width` cells: the parts from the left, then dots for the free rest."""
    cells = share_cells([part.amount for part in parts], total, width)
    segments = [(part.glyph * count, part.style) for part, count in zip(parts, cells, strict=True)]
    return Content.assemble(*segments, (FREE * max(0, width - sum(cells)), MUTED))


def sparkline(samples: Samples, now: float, top: float, width: int) -> str:
    """Return the last WINDOW_SECONDS in `width` cells, scaled from 0 to `top`; blank where no sample is."""
    bins: list[list[float]] = [[] for _ in range(max(0, width))]
    for moment, value in samples:
        share = (moment - now + WINDOW_SECONDS) / WINDOW_SECONDS
        if isfinite(value) and bins and 0 <= share <= 1:
            bins[min(floor(share * width), width - 1)].append(value)
    return "".join(_level(sum(values) / len(values), top) if values else " " for values in bins)


def nice_ceiling(value: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten, for the top of an axis; 1 for zero and below."""
    if not isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power * (1 + 1e-9))


def one_line(text: str, width: int) -> str:
    """Collapse whitespace and cut `text` to `width` cells, with an ellipsis if it was longer."""
    text = " ".join(text.split())
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 1 else set_cell_size(text, max(0, width))


def fit_pieces(pieces: Iterable[Content], width: int, gap: str = "  ") -> Content:
    """Join the pieces that fit in `width` cells, in order of importance; others are skipped."""
    line = Content("")
    for piece in pieces:
        joined = Content.assemble(line, gap, piece) if line.plain else piece
        if joined.cell_length > width:
            continue
        line = joined
    return line


def flow(parts: Iterable[str], width: int, gap: str = " · ") -> str:
    """Join the parts into lines of at most `width` cells, breaking only between parts."""
    rows: list[str] = []
    for part in parts:
        if rows and cell_len(rows[-1]) + cell_len(gap) + cell_len(part) <= width:
            rows[-1] += gap + part
        else:
            rows.append(part)
    return "\n".join(rows)


def lines(rows: Iterable[Content], height: int) -> Content:
    """Join the first `height` rows with line breaks."""
    return Content("\n").join(list(rows)[: max(0, height)])


def _level(value: float, top: float) -> str:
    share = value / top if top > 0 else 0.0
    return LEVELS[min(len(LEVELS) - 1, max(0, ceil(share * len(LEVELS)) - 1))]
