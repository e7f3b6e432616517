"""Render streaming Markdown: finished blocks once, the last block again with every new text."""

from __future__ import annotations

from app.widgets.chat.transcript.line_renderer import BLANK, Line, LineRenderer


class IncrementalMarkdown:
    """The lines of an answer while it streams.

    A block counts as finished once another one begins below it. Later text can still change it, for example
    a link definition; rendering the complete answer at the end corrects that.
    """

    def __init__(self) -> None:
        self.codes: list[str] = []
        self._finished: list[Line] = []
        self._start = 0

    @property
    def finished(self) -> int:
        """Return the number of lines that will not change while the text grows."""
        return len(self._finished)

    def render(self, text: str, renderer: LineRenderer) -> list[Line]:
        """Return the lines of the text so far; `text` must begin with that of the previous call."""
        tail = text[self._start :]
        lines, markdown = renderer.markdown(tail, len(self.codes))
        if cut := markdown.last_block:
            done, block = renderer.markdown(tail[:cut], len(self.codes))
            self._finished += [*done, BLANK]
            self.codes += block.codes
            self._start += cut
            lines, markdown = renderer.markdown(tail[cut:], len(self.codes))
        return self._finished + lines
