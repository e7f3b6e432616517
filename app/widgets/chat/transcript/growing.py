"""Markdown that grows: what is finished is drawn once, and only the last block again."""

from __future__ import annotations

from app.widgets.chat.transcript.brush import BLANK, Line, LineRenderer


class IncrementalMarkdown:
    """The lines of an answer while it streams. At its end it is drawn anew as a whole.

    A block counts as finished when another one has begun below it. What comes later can still change it
    (a link's definition, say): the whole drawing at the end puts that right.
    """

    def __init__(self) -> None:
        self.codes: list[str] = []
        self._finished: list[Line] = []
        self._start = 0

    @property
    def finished(self) -> int:
        """How many of the lines will not change while it grows."""
        return len(self._finished)

    def draw(self, text: str, brush: LineRenderer) -> list[Line]:
        """The lines of the whole text so far; `text` begins with what it was before."""
        tail = text[self._start :]
        lines, markdown = brush.markdown(tail, len(self.codes))
        if cut := markdown.last_block:
            done, block = brush.markdown(tail[:cut], len(self.codes))
            self._finished += [*done, BLANK]
            self.codes += block.codes
            self._start += cut
            lines, markdown = brush.markdown(tail[cut:], len(self.codes))
        return self._finished + lines
