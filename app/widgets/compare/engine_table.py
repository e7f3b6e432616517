"""The engines of a comparison: how far each is from the reference on its answer, how large and how fast."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import DataTable

from app.state.comparison.answer_comparison import AnswerComparison
from app.terminal_text import displayable
from app.widgets.panels.drawing import one_line
from app.widgets.tokens.token_text import quoted
from engines.compare.answer_text import split
from engines.compare.comparison import ComparedAnswer, EngineAnswer, Row
from engines.compare.report.table import divergence, megabytes, percent, speed_text
from engines.compare.rows import title

COLUMNS = ("", "engine", "same top", "leaves at", "KLD mean", "p99", "MB", "tok/s", "writes")
EXTRA = {"p99", "MB", "writes"}
"""Columns that a narrow terminal does not show."""
WAITING = "…"


class EngineTable(DataTable[Text]):
    """One row for the reference and for each engine. The keys of the screen choose the row."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, cursor_type="row", zebra_stripes=False)
        self.can_focus = False

    def show(self, comparison: AnswerComparison, chosen: int) -> None:
        """Fill the table.

        Args:
            chosen: index of the chosen engine.
        """
        narrow = self.screen.has_class("-narrow")
        shown = [not narrow or column not in EXTRA for column in COLUMNS]
        rows = [list(compress(row, shown)) for row in (COLUMNS, *_rows(comparison, chosen))]
        self.clear(columns=True)
        for cells in zip(*rows, strict=True):
            # Not Textual's own width: it may be that of the heading alone after a second call in one frame.
            self.add_column(cells[0], width=max(map(cell_len, cells)))
        for row in rows[1:]:
            self.add_row(*map(Text, row))
        self.move_cursor(row=1 + chosen)


def _rows(comparison: AnswerComparison, chosen: int) -> Iterator[list[str]]:
    """Yield the cells of the reference and of each engine."""
    if comparison.reference is None:
        return
    answer = comparison.answer
    yield _reference_cells(title(comparison.reference), answer.reference.row if answer else None)
    for index, spec in enumerate(comparison.specs):
        found = answer.engines[index] if answer and index < len(answer.engines) else None
        yield _cells("●" if index == chosen else "○", title(spec), answer, found)


def _reference_cells(name: str, row: Row | None) -> list[str]:
    speed = [megabytes(row.weight_bytes), speed_text(row.speed)] if row else ["", ""]
    return ["R", displayable(name), "reference", "", "", "", *speed, ""]


def _cells(mark: str, name: str, answer: ComparedAnswer | None, found: EngineAnswer | None) -> list[str]:
    start = [mark, displayable(name)]
    if answer is None or found is None:
        return [*start, WAITING, *[""] * (len(COLUMNS) - 3)]
    row = found.row
    if row.error or row.quality is None:
        return [*start, "failed", *[""] * (len(COLUMNS) - 4), one_line(displayable(row.error), 60)]
    card = row.quality
    index = split(answer, found)
    return [
        *start,
        percent(card.same_top),
        "never" if index is None else f"token {index + 1}",
        divergence(card.mean_kld, at_least=card.at_least),
        divergence(card.kld["99.0%"], at_least=card.at_least),
        megabytes(row.weight_bytes),
        speed_text(row.speed),
        "the same" if index is None else _other_words(answer, found, index),
    ]


def _other_words(answer: ComparedAnswer, engine: EngineAnswer, index: int) -> str:
    best = engine.scores[index].alternatives[0].text
    return f"{quoted(best)} for {quoted(answer.answer.pieces[index])}"
