"""Where the engines differ over the whole answer: one line for each engine, a cell for a few tokens."""

from __future__ import annotations

from math import ceil

from rich.cells import cell_len
from textual.content import Content

from app.widgets.compare.answer_heat import OTHER_TOP
from app.widgets.compare.token_view import TokenView
from app.widgets.panels.drawing import MUTED, one_line
from engines.compare.answer_text import heat, other_tops
from engines.compare.comparison import ComparedAnswer, EngineAnswer
from engines.compare.report.table import divergence

GLYPHS = "·░▒█"
TITLE_CELLS = 16


class DifferenceStrip(TokenView):
    """One line for each engine, and one with the cursor."""

    def draw(self, answer: ComparedAnswer, token: int, chosen: int) -> None:
        """Show the whole answer with the cursor at a token.

        Args:
            chosen: index of the engine whose line is bold.
        """
        width = max(10, self.size.width - TITLE_CELLS - 22)
        count = len(answer.answer.pieces)
        per_cell = max(1, ceil(count / width))
        rows = [
            _row(answer, engine, per_cell, "bold" if index == chosen else "")
            for index, engine in enumerate(answer.engines)
            if engine.scores
        ]
        cursor = " " * (TITLE_CELLS + 1 + token // per_cell) + "▲"
        note = f" {count} tokens" if per_cell == 1 else f" {count} tokens, {per_cell} in each cell"
        self.update(Content("\n").join([*rows, Content.assemble((cursor, "$primary"), (note, MUTED))]))


def _row(answer: ComparedAnswer, engine: EngineAnswer, per_cell: int, style: str) -> Content:
    others = set(other_tops(answer, engine))
    cells = []
    for start in range(0, len(engine.scores), per_cell):
        part = range(start, min(start + per_cell, len(engine.scores)))
        if others.isdisjoint(part):
            cells.append(GLYPHS[max(heat(engine.scores[index].kl) for index in part)])
        else:
            cells.append(OTHER_TOP)
    title = one_line(engine.row.title, TITLE_CELLS)
    total = sum(score.kl for score in engine.scores)
    return Content.assemble(
        (title + " " * (TITLE_CELLS + 1 - cell_len(title)), style),
        "".join(cells),
        (f"  {len(others)} {OTHER_TOP}  KLD {divergence(total)}", MUTED),
    )
