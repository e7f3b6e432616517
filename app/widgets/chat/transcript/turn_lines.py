"""The lines of all turns, one turn below the other."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from app.widgets.chat.transcript.line_renderer import BLANK, Line, LineRenderer
from app.widgets.chat.transcript.rendered_turn import RenderedTurn


class TurnLines:
    """Lines by their row, and the rows of each turn."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._offsets: list[int] = [0]
        """First row of each turn, then the number of rows."""

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, row: int) -> Line:
        """Return the line of a row; a blank one where there is none."""
        return self._lines[row] if 0 <= row < len(self._lines) else BLANK

    def rows(self, turn: int) -> tuple[int, int]:
        """Return the first row of a turn, given by its number, and the row below its last one."""
        return self._offsets[turn], self._offsets[turn + 1]

    def turn_at(self, row: int) -> int:
        """Return the number of the turn that a row belongs to; -1, or the number of turns, beyond them."""
        return bisect_right(self._offsets, row) - 1

    @property
    def text(self) -> str:
        """The text, wrapped as the lines are."""
        return "\n".join("".join(segment.text for segment in line).rstrip() for line in self._lines)

    def render(self, turns: list[RenderedTurn], renderer: LineRenderer) -> None:
        """Replace all lines; only turns that have changed are rendered."""
        self._offsets = list(accumulate((len(turn.lines(renderer)) for turn in turns), initial=0))
        self._lines = [line for turn in turns for line in turn.lines(renderer)]

    def render_last(self, turn: RenderedTurn, renderer: LineRenderer) -> int:
        """Replace the lines of the last turn, and return the first row that has changed."""
        top, lines = self._offsets[-2], turn.lines(renderer)
        # Most lines are those of before; of the others, the first ones are often equal.
        first = top + _equal_lines(self._lines[top:], lines)
        self._lines[first:] = lines[first - top :]
        self._offsets[-1] = len(self._lines)
        return first


def _equal_lines(before: list[Line], after: list[Line]) -> int:
    """Return the number of leading lines that are equal."""
    pairs = enumerate(zip(before, after, strict=False))
    unequal = (row for row, (old, new) in pairs if old is not new and old != new)
    return next(unequal, min(len(before), len(after)))
