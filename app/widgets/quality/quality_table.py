"""The table of the Quality screen: a row for each engine, a column for each figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate

from app.state.comparison.quality_entry import EntryState, QualityEntry
from app.terminal_text import displayable
from app.widgets.marked_lists import MarkedTable
from app.widgets.quality.colours import MUTED, rich_colour
from engines.compare.comparison import Comparison, Row
from engines.compare.report.table import COLUMNS, MEAN_KLD, Column, cell, megabytes

SIGNS = {
    EntryState.MEASURED: ("●", "success"),
    EntryState.MISSING: ("○", MUTED),
    EntryState.OUTDATED: ("◌", "warning"),
    EntryState.FAILED: ("✗", "error"),
    EntryState.UNAVAILABLE: ("✗", MUTED),
}
"""Sign and colour of each state; the signs are readable without colours."""
RUNNING = ("◐", "warning")
LEGEND = "● measured  ◐ running  ○ not measured  ◌ outdated  ✗ failed or unavailable"
SAME_TOP, RATE = "Same top", "tok/s"
FIRST = ("Engine", MEAN_KLD, "MB", SAME_TOP, "Flips", RATE)
"""Columns that come first in narrow terminals, without intervals."""
WIDE_FIRST = ("Engine", "MB", "bits", MEAN_KLD, "p99", SAME_TOP, "PPL ratio", "Flips", RATE, "TTFT ms")
"""Columns that come first elsewhere; the other ones follow."""


def _rate(row: Row) -> float | None:
    return -median(row.speed.rates) if row.speed and row.speed.rates else None


ORDERS: dict[str, Callable[[Row], float | None]] = {
    "engine": lambda _: None,
    MEAN_KLD: lambda row: row.quality.mean_kld if row.quality else None,
    "MB": lambda row: row.weight_bytes or None,
    RATE: _rate,
    "PPL ratio": lambda row: row.quality.ppl_ratio if row.quality else None,
    SAME_TOP: lambda row: -row.quality.same_top if row.quality else None,
    "Flips": lambda row: row.choices.flips if row.choices and row.quality else None,
}
"""What rows can be sorted by, the best first; None stays at the end."""


class QualityTable(MarkedTable):
    """Enter loads the engine under the cursor; a click only moves the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,l", "screen.load('left')", "Load left", key_display="Enter", id="quality.left"),
        Binding("r", "screen.load('right')", "right", id="quality.right"),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=True)
        self._columns_shown: tuple[str, ...] = ()
        self._entries: dict[str, QualityEntry] = {}

    @property
    def chosen(self) -> QualityEntry | None:
        """The engine under the cursor."""
        if not self._entries or not self.is_valid_coordinate(self.cursor_coordinate):
            return None
        return self._entries.get(str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value))

    def show(
        self,
        entries: Sequence[QualityEntry],
        comparison: Comparison | None,
        running: str,
        order: str,
        *,
        narrow: bool,
    ) -> None:
        """Show the engines; the cursor stays on its engine.

        Args:
            comparison: what the figures belong to; None before anything is measured.
            running: title of the engine that is being measured.
            order: a name of ORDERS.
            narrow: whether the essential columns come first, without intervals.
        """
        columns, shown = _columns(narrow), ordered(entries, order)
        rows = {
            entry.title: [self._cell(column, entry, comparison, running, narrow) for column in columns]
            for entry in shown
        }
        before, titles = self.chosen, tuple(column.title for column in columns)
        same = (titles, list(rows)) == (self._columns_shown, list(self._entries))
        self._entries = {entry.title: entry for entry in shown}
        if same:  # a new table would lose what it is scrolled to
            self._update(rows)
            return
        self.clear(columns=titles != self._columns_shown)
        if titles != self._columns_shown:
            self._columns_shown, self.fixed_columns = titles, 1
            for column in columns:
                self.add_column(Text(column.title, justify="left" if column is COLUMNS[0] else "right"))
        for title, cells in rows.items():
            self.add_row(*cells, key=title)
        if before and before.title in rows:
            self.move_cursor(row=list(rows).index(before.title))

    def _update(self, rows: Mapping[str, Sequence[Text]]) -> None:
        """Replace the cells that differ."""
        for y, cells in enumerate(rows.values()):
            for x, text in enumerate(cells):
                old = self.get_cell_at(Coordinate(y, x))
                if (old, old.style) != (text, text.style):
                    self.update_cell_at(Coordinate(y, x), text, update_width=True)

    def _cell(
        self, column: Column, entry: QualityEntry, comparison: Comparison | None, running: str, narrow: bool
    ) -> Text:
        if column is COLUMNS[0]:
            return self._title(entry, running)
        style = "" if entry.state is EntryState.MEASURED else self._colour(MUTED)
        return Text(displayable(_figure(column, entry, comparison, narrow)), style, justify="right")

    def _title(self, entry: QualityEntry, running: str) -> Text:
        sign, colour = RUNNING if entry.title == running else SIGNS[entry.state]
        known = entry.state is not EntryState.UNAVAILABLE
        name = Text(displayable(entry.title), "" if known else self._colour(MUTED))
        reference = Text(" reference", self._colour(MUTED)) if entry.is_reference else ""
        return Text.assemble((sign, self._colour(colour)), " ", name, reference)

    def _colour(self, name: str) -> str:
        return rich_colour(self.app, name, "dim" if name == MUTED else "")


def ordered(entries: Sequence[QualityEntry], order: str) -> list[QualityEntry]:
    """Return the engines by a figure, the best first; those without it stay at the end in their own order."""
    value = ORDERS[order]
    found = {entry.title: value(entry.row) if entry.row else None for entry in entries}
    known = [entry for entry in entries if found[entry.title] is not None]
    rest = [entry for entry in entries if found[entry.title] is None]
    return [*sorted(known, key=lambda entry: found[entry.title] or 0.0), *rest]


def _columns(narrow: bool) -> list[Column]:
    by_title = {column.title: column for column in COLUMNS}
    first = FIRST if narrow else WIDE_FIRST
    return [*(by_title[name] for name in first), *(one for one in COLUMNS if one.title not in first)]


def _figure(column: Column, entry: QualityEntry, comparison: Comparison | None, narrow: bool) -> str:
    row = entry.row
    if row is None or row.error:
        return _expected(column, entry)
    if narrow and column.title in (SAME_TOP, RATE):
        return _without_interval(column.text(row))
    return cell(column, row, comparison) if comparison else column.text(row)


def _without_interval(text: str) -> str:
    """Return `66.1*` for `66.1 (62.8–69.4)*`."""
    figure, _, interval = text.partition(" (")
    return figure + interval.partition(")")[2]


def _expected(column: Column, entry: QualityEntry) -> str:
    """Return what is known of an engine that has no figures."""
    if column.title == "MB" and entry.expected_bytes:
        return f"~{megabytes(entry.expected_bytes)}"
    return "failed" if column.title == MEAN_KLD and entry.state is EntryState.FAILED else ""
