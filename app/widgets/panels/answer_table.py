"""The times of both sides' answers as a table: phases, stalls and inter-token latencies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.content import Content

from app.state.side.phase import ANSWERING, Phase
from app.state.side.snapshot import SideSnapshot
from app.units import clock_text, seconds_text
from app.widgets.panels import latencies
from app.widgets.panels.drawing import MUTED
from app.widgets.panels.timeline import seconds_by_phase

NONE = "–"
"""Shown where an answer had no such time."""
GAP = 2
MOST_SPARE = 8
"""Cells that a column may be wider than its texts, for its bars."""
DROPPED = ("wait", "p95", "p50", "stalls", "prefill", "decode")
"""Columns that are left out in this order where the width is too small."""

Row = tuple[str, str, SideSnapshot]
"""(letter, style, side)."""


@dataclass(frozen=True)
class Cell:
    """One figure."""

    seconds: float | None
    """None where the answer had no such time."""
    text: str


@dataclass(frozen=True)
class Column:
    """The figures of both sides under one name."""

    name: str
    scale: str
    """Columns of one scale have bars of the same seconds per cell."""
    cells: tuple[Cell, ...]

    @property
    def is_empty(self) -> bool:
        """Whether no side has such a time."""
        return all(cell.seconds is None for cell in self.cells)

    @property
    def width(self) -> int:
        """The cells that its texts need."""
        return max(len(self.name), *(len(cell.text) for cell in self.cells))


def answer_table(rows: Sequence[Row], width: int) -> list[Content]:
    """Return a line of names and one line for each side, of at most `width` cells.

    The figures stand on bars. Where the width is too small, columns without figures are left out first, then
    those of DROPPED.
    """
    columns = _fitting(_columns([side for *_, side in rows]), width - 2)
    if not columns:
        return []
    spare = (width - 2 - _width(columns)) // len(columns)
    widths = [column.width + min(MOST_SPARE, max(0, spare)) for column in columns]
    gap = " " * GAP
    head = gap.join(f"{column.name:>{cells}}" for column, cells in zip(columns, widths, strict=True))
    longest = _longest(columns)
    lines = [Content.styled(f"  {head}", MUTED)]
    for index, (letter, style, _) in enumerate(rows):
        drawn = [
            _cell(column.cells[index], longest[column.scale], cells, style)
            for column, cells in zip(columns, widths, strict=True)
        ]
        lines.append(Content.assemble((f"{letter} ", f"bold {style}"), Content(gap).join(drawn)))
    return lines


def _columns(sides: Sequence[SideSnapshot]) -> list[Column]:
    phases: tuple[tuple[str, Phase], ...] = (
        ("wait", Phase.QUEUED),
        ("prefill", Phase.PREFILL),
        ("decode", Phase.DECODE),
        ("stalls", Phase.STALLED),
    )
    columns = [
        Column(name, "phase", tuple(_phase_cell(side, phase) for side in sides)) for name, phase in phases
    ]
    for percent in (50, 95):
        cells = tuple(_cell_of(latencies.gap_percentile(side.gaps, percent), seconds_text) for side in sides)
        columns.append(Column(f"p{percent}", "latency", cells))
    return columns


def _phase_cell(side: SideSnapshot, phase: Phase) -> Cell:
    runs = side.phase in ANSWERING and bool(side.spans) and side.spans[-1].phase is phase
    # A clock that runs has whole seconds: three digits would change with every drawing.
    return _cell_of(seconds_by_phase(side.spans).get(phase), clock_text if runs else seconds_text)


def _cell_of(seconds: float | None, text: Callable[[float], str]) -> Cell:
    return Cell(seconds, NONE if seconds is None else text(seconds))


def _fitting(columns: list[Column], width: int) -> list[Column]:
    if _width(columns) > width:
        columns = [column for column in columns if not column.is_empty]
    for name in DROPPED:
        if _width(columns) > width:
            columns = [column for column in columns if column.name != name]
    return columns


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _longest(columns: Sequence[Column]) -> dict[str, float]:
    """Return the longest time of each scale."""
    longest: dict[str, float] = {}
    for column in columns:
        found = [cell.seconds or 0.0 for cell in column.cells]
        longest[column.scale] = max(longest.get(column.scale, 0.0), *found)
    return longest


def _cell(cell: Cell, longest: float, width: int, style: str) -> Content:
    """Return a figure at the right of its cells, on a bar from their left."""
    text = f"{cell.text:>{width}}"
    if cell.seconds is None:
        return Content.styled(text, MUTED)
    filled = round(cell.seconds / longest * width) if longest > 0 else 0
    return Content.assemble((text[:filled], f"on {style} 35%"), text[filled:])
