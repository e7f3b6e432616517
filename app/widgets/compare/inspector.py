"""What every engine expects at one token."""

from __future__ import annotations

from itertools import zip_longest

from rich.cells import cell_len
from textual.content import Content

from app.widgets.compare.answer_heat import OTHER_TOP
from app.widgets.compare.token_view import TokenView
from app.widgets.panels.drawing import MUTED, one_line
from app.widgets.tokens.token_text import quoted
from engines.compare.answer_text import has_other_top
from engines.compare.comparison import ComparedAnswer, EngineAnswer, TokenScore
from engines.compare.report.table import divergence

SHOWN = 4
"""Alternatives of each engine."""
WIDE = 42
"""Cells from which the sign is explained."""
TOKEN_CELLS = 12
"""Width of a token's text."""


class Inspector(TokenView):
    """The most likely tokens of the reference and of each engine, the chosen engine first."""

    def draw(self, answer: ComparedAnswer, token: int, chosen: int) -> None:
        """Show a token of the answer.

        Args:
            chosen: index of the engine that comes right after the reference.
        """
        piece = quoted(answer.answer.pieces[token])
        self.border_title = Content(f"Token {token + 1} of {len(answer.answer.pieces)}: {piece}")
        engines = [one for one in answer.engines if one.scores]
        first = answer.engines[chosen] if chosen < len(answer.engines) else None
        if first in engines:
            engines.remove(first)
            engines.insert(0, first)
        reference = answer.reference
        if self.screen.has_class("-narrow"):
            half = max(20, self.size.width // 2)
            left = _reference_block(reference, token, half - 2)
            right = _engine_block(reference, engines[0], token, half - 2) if engines else []
            self.update(_beside(left, right, half))
            return
        blocks = [_reference_block(reference, token, self.size.width)]
        blocks += [_engine_block(reference, engine, token, self.size.width) for engine in engines]
        self.update(Content("\n\n").join(Content("\n").join(block) for block in blocks))


def _beside(left: list[Content], right: list[Content], column: int) -> Content:
    """Return two blocks side by side; the right one starts at `column`."""
    rows = zip_longest(left, right, fillvalue=Content(""))
    return Content("\n").join(
        Content.assemble(one, " " * max(1, column - one.cell_length), other) for one, other in rows
    )


def _reference_block(reference: EngineAnswer, token: int, width: int) -> list[Content]:
    head = Content.assemble((f"R {reference.row.title}", "bold"), ("  the reference", MUTED))
    return [head, *_bars(reference.scores[token], width)]


def _engine_block(reference: EngineAnswer, engine: EngineAnswer, token: int, width: int) -> list[Content]:
    score = engine.scores[token]
    other = ""
    if has_other_top(reference.scores[token], score):
        other = f"  {OTHER_TOP} other top token" if width >= WIDE else f"  {OTHER_TOP}"
    head = Content.assemble(
        (engine.row.title, "bold"), (f"  KLD {divergence(score.kl)}", MUTED), (other, "$text-warning")
    )
    return [head, *_bars(score, width)]


def _bars(score: TokenScore, width: int) -> list[Content]:
    space = max(4, width - TOKEN_CELLS - 9)
    return [
        Content.assemble(
            f" {_cell(quoted(one.text))} ",
            f"{one.probability:.2f} ".replace("0.", " ."),
            ("▇" * round(one.probability * space), "$primary"),
        )
        for one in score.alternatives[:SHOWN]
    ]


def _cell(text: str) -> str:
    shown = one_line(text, TOKEN_CELLS)
    return shown + " " * (TOKEN_CELLS - cell_len(shown))
