"""An answer token by token, shaded by the probability that its own engine gives each token."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style

from app.terminal_text import displayable
from app.widgets.chat.transcript.line_renderer import Line, LineRenderer
from app.widgets.panels.drawing import flow, one_line
from app.widgets.tokens.token_lines import place_of, token_lines
from app.widgets.tokens.token_text import PROBABILITY_LEGEND, quoted, signed
from engines.compare.answer_text import others, unsure
from engines.compare.token_scores import ScoredAnswer

STRENGTHS = (0.0, 0.18, 0.42, 0.8)
"""Share of the theme's warning colour in the background of each shade."""
SHOWN = 5
"""Alternatives of the marked token."""
TOKEN_CELLS = 16
"""Width of an alternative's text."""


class ShadedAnswer:
    """The tokens of an answer, one of them marked: at first the least probable one."""

    def __init__(self, answer: ScoredAnswer) -> None:
        self.answer = answer
        places = range(len(answer.scores))
        self.marked = min(places, key=lambda place: answer.scores[place].probability, default=0)
        """Index of the marked token."""

    def mark(self, token: int) -> None:
        """Mark a token; a number beyond the ends marks the first or the last one."""
        self.marked = max(0, min(token, len(self.answer.pieces) - 1))

    def lines(self, renderer: LineRenderer) -> tuple[list[Line], int]:
        """Return the lines, with the alternatives below the marked token, and the row of that token.

        Each token is a link that marks it.
        """
        pieces = self.answer.pieces
        texts = [signed(piece, self._shade(place)) for place, piece in enumerate(pieces)]
        styles = [self._style(place, renderer) for place in range(len(pieces))]
        wrapped = token_lines(texts, renderer.width)
        body: list[Line] = [[Segment(piece.text, styles[piece.token]) for piece in line] for line in wrapped]
        row, _ = place_of(wrapped, self.marked)
        legend = renderer.text(PROBABILITY_LEGEND, "foreground-muted")
        return [*body[: row + 1], *self._alternatives(renderer), *body[row + 1 :], *legend], row

    def _shade(self, place: int) -> int:
        return unsure(self.answer.scores[place].probability)

    def _style(self, place: int, renderer: LineRenderer) -> Style:
        link = Style(meta={"@click": f"mark_token({place})"})
        if place == self.marked:
            return renderer.colours.style("foreground", bold=True) + Style(reverse=True) + link
        return renderer.colours.shaded("warning", STRENGTHS[self._shade(place)]) + link

    def _alternatives(self, renderer: LineRenderer) -> list[Line]:
        score, piece = self.answer.scores[self.marked], self.answer.pieces[self.marked]
        parts = [f"↳ {quoted(piece)} {score.probability:.2f}"]
        parts += [
            f"{one_line(quoted(one.text), TOKEN_CELLS)} {one.probability:.2f}"
            for one in others(score, self.answer.token_ids[self.marked])[:SHOWN]
        ]
        parts.append(f"token {self.marked + 1} of {len(self.answer.pieces)}")
        return renderer.text(displayable(flow(parts, renderer.width)), "text-primary", italic=True)
