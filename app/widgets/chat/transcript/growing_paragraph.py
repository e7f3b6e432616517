"""A paragraph, or a heading, whose lines are drawn once each where there are many."""

from __future__ import annotations

from markdown_it.utils import EnvType

from app.widgets.chat.transcript.block_margin import BlockMargin
from app.widgets.chat.transcript.blocks import Block
from app.widgets.chat.transcript.inline_text import inline_text
from app.widgets.chat.transcript.line_renderer import Line, LineRenderer

PIECE = 30
"""Lines that are drawn as one text. Longer paragraphs are drawn in pieces, each of which begins a line."""


class GrowingParagraph:
    """The pieces of a paragraph; all but the last one do not change."""

    def __init__(self, margin: BlockMargin, renderer: LineRenderer) -> None:
        self._margin, self._renderer = margin, renderer
        self._lines: list[Line] = []
        """Those of the pieces that are complete."""
        self._last: list[Line] = []
        self.pieces = 0
        """How many pieces have been drawn."""

    def add(self, block: Block, env: EnvType, complete: int | None = None) -> int:
        """Add a paragraph, without the pieces added before: of those it has the first line only.

        Args:
            block: The paragraph or heading.
            env: The link definitions.
            complete: How many lines from the block's first one on are complete; all if None.

        Returns:
            How many of its lines need not be read again.
        """
        repeated = 1 if self._lines else 0
        rows = block.tokens[1].content.split("\n")[repeated:]
        known = len(rows) if complete is None else min(len(rows), complete - repeated)
        whole = max(0, known - 1) // PIECE * PIECE
        for start in range(0, whole, PIECE):
            self._lines += self._drawn("paragraph", rows[start : start + PIECE], env)
        self._last = []
        kind = "paragraph" if block.kind == "paragraph" else block.tokens[0].tag
        for start in range(whole, len(rows), PIECE):
            is_last = start + PIECE >= len(rows)
            self._last += self._drawn(kind if is_last else "paragraph", rows[start : start + PIECE], env)
        return repeated + whole

    def lines(self) -> list[Line]:
        """Return the lines."""
        return self._lines + self._last

    def _drawn(self, style: str, rows: list[str], env: EnvType) -> list[Line]:
        """Return the lines of one piece."""
        self.pieces += 1
        margin, styles = self._margin, self._renderer.styles
        text = inline_text("\n".join(rows), styles, env, margin.base + styles.style(style))
        lines = self._renderer.lines(text, margin.width)
        return margin.beside(lines, begun=bool(self._lines or self._last))
