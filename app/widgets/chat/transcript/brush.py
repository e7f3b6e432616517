"""Renderables into lines of the screen, at one width and in one theme."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from app.widgets.chat.transcript.markdown import Colours, MarkdownStyle, ThemedMarkdown

Line = list[Segment]
"""One line of the screen. A Textual strip holds eight caches, so only lines in view become strips."""
BLANK: Line = []


class LineRenderer:
    """Draws for one width and one theme; another width or theme takes another brush."""

    def __init__(self, console: Console, colours: Colours, width: int) -> None:
        self.width = max(1, width)
        self.colours = colours
        self._markdown = MarkdownStyle(colours)
        self._console = console
        self._options = console.options.update(width=self.width, height=None, highlight=False, markup=False)

    def lines(self, renderable: RenderableType) -> list[Line]:
        """The lines of one renderable."""
        return self._console.render_lines(renderable, self._options, pad=False)

    def text(
        self, text: str, colour: str, ground: str = "", *, bold: bool = False, italic: bool = False
    ) -> list[Line]:
        """Plain text, wrapped."""
        return self.lines(Text(text, style=self.colours.style(colour, ground, bold=bold, italic=italic)))

    def actions(self, parts: Iterable[tuple[str, str]]) -> list[Line]:
        """Words to click, as many lines as they need. Each is (words, action); without action, only words."""
        line = Text()
        for words, action in parts:
            if line and line.cell_len - (line.plain.rfind("\n") + 1) + 2 + len(words) > self.width:
                line.append("\n")
            elif line:
                line.append("  ")
            click = Style(meta={"@click": action}, underline=True) if action else Style()
            line.append(words, self.colours.style("text-primary" if action else "foreground-muted") + click)
        return self.lines(line)

    def markdown(self, text: str, first_code: int = 0) -> tuple[list[Line], ThemedMarkdown]:
        """Markdown, and what was found in it."""
        markdown = ThemedMarkdown(text, self._markdown, first_code)
        lines = self.lines(markdown)
        while lines and not any(
            segment.text for segment in lines[0]
        ):  # Rich begins a list with an empty line
            del lines[0]
        return lines, markdown
