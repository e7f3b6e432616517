"""A code block whose lines are drawn once each, while it grows."""

from __future__ import annotations

from markdown_it.utils import EnvType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from app.terminal_text import displayable
from app.widgets.chat.transcript.block_margin import BlockMargin
from app.widgets.chat.transcript.blocks import Block
from app.widgets.chat.transcript.code_tokens import LONGEST_LINE, CodeTokens, Token
from app.widgets.chat.transcript.line_renderer import Line, LineRenderer
from app.widgets.chat.transcript.plain_text import chopped

COPY = "copy"
"""Label of the link that copies a code block."""
SIDE = 2
"""Empty cells on both sides of the code."""
TAB = 4


class GrowingCode:
    """The lines of a code block on the theme's surface colour, with a link that copies it."""

    def __init__(self, information: str, number: int, margin: BlockMargin, renderer: LineRenderer) -> None:
        """Begin a block.

        Args:
            information: What follows the opening fence: the language, if anything.
            number: The block's number in the answer, for the link.
            margin: What is left of the block.
            renderer: For the theme.
        """
        self._margin, self._renderer = margin, renderer
        self._tokens = CodeTokens((information.split() or ["text"])[0])
        self._rows: list[list[Line]] = []
        """What each complete line of the code looks like."""
        self._begun = ""
        """The last line, which is not complete."""
        background = self._background
        link = Style(meta={"@click": ("copy_code", (number,))}, dim=True, underline=True)
        self._head: Line = [
            *margin.first,
            Segment(" " * max(0, margin.width - len(COPY) - 1), background),
            Segment(COPY, background + link),
            Segment(" ", background),
        ]

    @property
    def code(self) -> str:
        """Return the code so far."""
        return "\n".join([*self._tokens.sources, self._begun]).rstrip()

    def add(self, block: Block, _: EnvType, complete: int | None = None) -> int:
        """Add the complete lines of a block, without those added before.

        Args:
            block: The code.
            complete: How many lines from the block's first one on are complete; all if None.

        Returns:
            How many of its lines need not be read again.
        """
        token = block.tokens[0]
        code = displayable(token.content)
        *lines, self._begun = (code if token.type == "fence" else code.rstrip("\n")).split("\n")
        if token.markup and set(self._begun.strip()) == {token.markup[0]}:
            self._begun = ""  # the closing fence arrives
        for line in lines:
            first = self._tokens.add(line.expandtabs(TAB))
            self._rows[first:] = [self._drawn(tokens) for tokens in self._tokens.lines[first:]]
        return 0 if complete is not None and complete < block.head else block.head + len(lines)

    def lines(self) -> list[Line]:
        """Return the head, the code without empty lines at its end, and an empty line."""
        rows = list(self._rows)
        if self._begun.strip():
            rows.append(self._drawn(self._tokens.begun(self._begun.expandtabs(TAB))))
        while rows and not self._begun.strip() and not self._tokens.sources[len(rows) - 1].strip():
            rows.pop()
        below: Line = [*self._margin.rest, Segment(" " * self._margin.width, self._background)]
        return [self._head, *(line for row in rows for line in row), below]

    @property
    def _background(self) -> Style:
        return self._renderer.styles.syntax.get_background_style()

    def _drawn(self, tokens: list[Token]) -> list[Line]:
        """Return the rows of one line of code."""
        width, syntax = max(1, self._margin.width - 2 * SIDE), self._renderer.styles.syntax
        parts = [(text, syntax.get_style_for_token(kind)) for kind, text in tokens]
        length = sum(len(text) for text, _ in parts)
        if length <= width and all(text.isascii() for text, _ in parts):
            rows = [[Segment(text, style) for text, style in parts]]
        elif length > LONGEST_LINE:
            rows = [
                [Segment(piece, parts[0][1])] for piece in chopped("".join(text for text, _ in parts), width)
            ]
        else:
            rows = self._renderer.lines(Text.assemble(*parts, end=""), width)
        side = Segment(" " * SIDE, self._background)
        rest = self._margin.rest
        return [
            [*rest, side, *Segment.adjust_line_length(row, width, self._background), side] for row in rows
        ]
