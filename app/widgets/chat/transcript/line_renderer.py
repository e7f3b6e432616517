"""Render Rich renderables to lines of segments, for one width and one theme."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from app.widgets.chat.transcript.markdown import Colours, MarkdownStyle

Line = list[Segment]
"""One line of the screen. A Textual strip holds eight caches, so only visible lines become strips."""
BLANK: Line = []


class LineRenderer:
    """Renders for one width and one theme; a change of either needs a new renderer."""

    def __init__(self, console: Console, colours: Colours, width: int, *, figures: bool = True) -> None:
        """Create it; `figures` is whether the figures of an answer are shown below it."""
        self.width = max(1, width)
        self.figures = figures
        self.colours = colours
        self.styles = MarkdownStyle(colours)
        """Of Markdown and code."""
        self.console = console
        self._options = console.options.update(width=self.width, height=None, highlight=False, markup=False)

    def lines(self, renderable: RenderableType, width: int = 0) -> list[Line]:
        """Render one renderable to lines of at most `width` cells; the renderer's own width if 0."""
        options = self._options.update_width(width) if width else self._options
        return self.console.render_lines(renderable, options, pad=False)

    def text(
        self, text: str, colour: str, background: str = "", *, bold: bool = False, italic: bool = False
    ) -> list[Line]:
        """Render plain text, wrapped, in colours named by theme variables."""
        return self.lines(Text(text, style=self.colours.style(colour, background, bold=bold, italic=italic)))

    def actions(self, parts: Iterable[tuple[str, str]]) -> list[Line]:
        """Render (label, action) pairs as links, wrapped between them; without an action as plain text."""
        line = Text()
        for label, action in parts:
            if line and len(line.plain) - (line.plain.rfind("\n") + 1) + 2 + len(label) > self.width:
                line.append("\n")
            elif line:
                line.append("  ")
            click = Style(meta={"@click": action}, underline=True) if action else Style()
            line.append(label, self.colours.style("text-primary" if action else "foreground-muted") + click)
        return self.lines(line)
