"""What is on the screen, cell by cell: its character, its colours and attributes, and its widget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rich.style import Style
from textual._context import visible_screen_stack
from textual.app import App
from textual.color import Color
from textual.errors import NoWidget
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

KEPT = 4096
"""How many results are kept: a screen has thousands of cells, and only dozens of styles and pairs."""


def linear(colour: Color) -> tuple[float, float, float]:
    """Return the linear RGB channels of a colour, 0 to 1."""
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in colour.normalized
    )
    return red, green, blue


@lru_cache(KEPT)
def contrast(first: Color, second: Color) -> float:
    """Return the WCAG contrast ratio, 1 to 21."""
    weights = (0.2126, 0.7152, 0.0722)
    dark, light = sorted(
        sum(weight * value for weight, value in zip(weights, linear(colour), strict=True))
        for colour in (first, second)
    )
    return (light + 0.05) / (dark + 0.05)


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
    for y, strip in enumerate(drawn_lines(app)):
        if within and not within.y <= y < within.bottom:
            continue
        x = 0
        for segment in strip:
            look = _look(segment.style) if segment.style else None
            for column, character in enumerate(segment.text, x):
                if look and (not within or within.contains(column, y)):
                    yield Cell(column, y, character, *look)
            x += len(segment.text)


def drawn_lines(app: App[Any]) -> list[Strip]:
    """Return the lines of the current screen, without what is below a dialog."""
    token = visible_screen_stack.set([])
    try:
        return app.screen._compositor.render_strips(app.size)
    finally:
        visible_screen_stack.reset(token)


@lru_cache(KEPT)
def _look(style: Style) -> tuple[Color, Color, tuple[bool, bool, bool]]:
    """Return the foreground, the background and the attributes of a cell."""
    front, back = (Color.from_rich_color(one) if one else None for one in (style.color, style.bgcolor))
    foreground, background = front or Color(255, 255, 255), back or Color(0, 0, 0)
    if style.reverse:
        foreground, background = background, foreground
    if style.dim:
        foreground = background.blend(foreground, 0.5)
    return foreground, background, (bool(style.bold), bool(style.underline), bool(style.reverse))


def widget_at(app: App[Any], cell: Cell) -> Widget | None:
    """Return the widget that drew a cell."""
    try:
        return app.screen.get_widget_at(cell.x, cell.y)[0]
    except NoWidget:
        return None
