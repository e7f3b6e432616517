"""What is on the screen, cell by cell: its character, its colours and attributes, and its widget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.style import Style
from textual._context import visible_screen_stack
from textual.app import App
from textual.color import Color
from textual.errors import NoWidget
from textual.geometry import Region
from textual.widget import Widget

from tests.app.test_themes import contrast


@dataclass(frozen=True)
class Cell:
    """One cell, with the colours that the eye sees: exchanged where they are reversed, dimmed where dim."""

    x: int
    y: int
    character: str
    foreground: Color
    background: Color
    attributes: tuple[bool, bool, bool]
    """Bold, underlined, reversed."""

    @property
    def contrast(self) -> float:
        """The WCAG contrast of the character with what is behind it."""
        return contrast(self.foreground, self.background)

    @property
    def is_text(self) -> bool:
        """Whether the character is one to read; lines, blocks, marks and signs are drawings."""
        return self.character.isalnum()


def cells(app: App[Any], within: Region | None = None) -> Iterator[Cell]:
    """Yield the cells of the current screen, without those of the screens below a dialog."""
    token = visible_screen_stack.set([])
    try:
        strips = app.screen._compositor.render_strips(app.size)
    finally:
        visible_screen_stack.reset(token)
    for y, strip in enumerate(strips):
        x = 0
        for segment in strip:
            for character in segment.text:
                if (not within or within.contains(x, y)) and segment.style:
                    yield _cell(x, y, character, segment.style)
                x += 1


def _cell(x: int, y: int, character: str, style: Style) -> Cell:
    front, back = (Color.from_rich_color(one) if one else None for one in (style.color, style.bgcolor))
    foreground, background = front or Color(255, 255, 255), back or Color(0, 0, 0)
    if style.reverse:
        foreground, background = background, foreground
    if style.dim:
        foreground = background.blend(foreground, 0.5)
    attributes = bool(style.bold), bool(style.underline), bool(style.reverse)
    return Cell(x, y, character, foreground, background, attributes)


def widget_at(app: App[Any], cell: Cell) -> Widget | None:
    """Return the widget that drew a cell."""
    try:
        return app.screen.get_widget_at(cell.x, cell.y)[0]
    except NoWidget:
        return None
