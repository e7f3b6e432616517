"""Draw one block of a Markdown text."""

from __future__ import annotations

from rich.segment import Segment
from rich.text import Text

from app.terminal_text import displayable
from app.widgets.chat.transcript.block_margin import BlockMargin
from app.widgets.chat.transcript.blocks import Block
from app.widgets.chat.transcript.growing_code import GrowingCode
from app.widgets.chat.transcript.growing_paragraph import GrowingParagraph
from app.widgets.chat.transcript.growing_table import GrowingTable
from app.widgets.chat.transcript.line_renderer import Line, LineRenderer

Growing = GrowingCode | GrowingParagraph | GrowingTable
RULE = "-"
"""Fills the line of a thematic break."""


def begin(block: Block, margin: BlockMargin, number: int, renderer: LineRenderer) -> Growing | None:
    """Return what draws a block line by line; None for blocks that are drawn as a whole.

    Args:
        block: The block.
        margin: What is left of it.
        number: Of the next code block in the answer.
        renderer: For the width and the theme.
    """
    if block.kind in ("fence", "code_block"):
        return GrowingCode(block.tokens[0].info, number, margin, renderer)
    if block.kind in ("paragraph", "heading"):
        return GrowingParagraph(margin, renderer)
    return GrowingTable(margin, renderer) if block.kind == "table" else None


def draw(block: Block, margin: BlockMargin, renderer: LineRenderer) -> list[Line]:
    """Return the lines of a formula or a thematic break."""
    if block.kind == "hr":
        line = [Segment(RULE * margin.width, margin.base + renderer.styles.style("hr"))]
        return margin.beside([line])
    text = Text(displayable(block.tokens[0].content), margin.base, end="")
    return margin.beside(renderer.lines(text, margin.width))
