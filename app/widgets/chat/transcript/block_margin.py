"""What is left of a block: the markers of its list items and the bars of its quotes."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style

from app.widgets.chat.transcript.blocks import Container
from app.widgets.chat.transcript.line_renderer import Line, LineRenderer

QUOTE = "▌ "


@dataclass(frozen=True)
class BlockMargin:
    """The segments before the lines of a block."""

    first: Line
    rest: Line
    """Before all lines but the first one."""
    width: int
    """Cells that are left for the block."""
    base: Style
    """The style of its text."""

    def beside(self, lines: list[Line], *, begun: bool = False) -> list[Line]:
        """Return lines of the block with what is left of them; the block has lines above them if `begun`."""
        return [[*(self.rest if row or begun else self.first), *line] for row, line in enumerate(lines)]


def block_margin(path: tuple[Container, ...], marked: int, renderer: LineRenderer) -> BlockMargin:
    """Return the margin of a block, which takes at most half of the width.

    Args:
        path: What the block is in.
        marked: How many of these have their marker above the block already.
        renderer: Has the width and the styles.
    """
    styles, base = renderer.styles, Style()
    first, rest, width = Line(), Line(), renderer.width
    for depth, container in enumerate(path):
        text = container.marker or QUOTE
        base += styles.style("item" if container.marker else "block_quote")
        if width - len(text) < renderer.width / 2:
            continue
        width -= len(text)
        style = (
            styles.style(f"item.{'number' if container.number else 'bullet'}") if container.marker else base
        )
        bar = Segment(text if not container.marker else " " * len(text), style)
        rest.append(bar)
        first.append(bar if depth < marked else Segment(text, style))
    return BlockMargin(first, rest, max(1, width), base)
