"""Digits that are five rows high where the terminal is large, else the three rows of Textual's widget."""

from __future__ import annotations

from typing import cast

from rich.align import Align, AlignMethod
from rich.text import Text
from textual.app import RenderResult
from textual.geometry import Size
from textual.widgets import Digits

LARGE = Size(160, 52)
"""From this size of the terminal on."""
_ROWS = {
    "0": ("███", "█ █", "█ █", "█ █", "███"),
    "1": (" █ ", "██ ", " █ ", " █ ", "███"),
    "2": ("███", "  █", "███", "█  ", "███"),
    "3": ("███", "  █", "███", "  █", "███"),
    "4": ("█ █", "█ █", "███", "  █", "  █"),
    "5": ("███", "█  ", "███", "  █", "███"),
    "6": ("███", "█  ", "███", "█ █", "███"),
    "7": ("███", "  █", "  █", "  █", "  █"),
    "8": ("███", "█ █", "███", "█ █", "███"),
    "9": ("███", "█ █", "███", "  █", "███"),
    "x": ("   ", "   ", "█ █", " █ ", "█ █"),
    "-": ("   ", "   ", "███", "   ", "   "),
    ".": (" ", " ", " ", " ", "█"),
    ",": (" ", " ", " ", "█", "█"),
}
"""Each square is drawn two cells wide."""


class LargeDigits(Digits):
    """A number that can be read from the back of a room."""

    def render(self) -> RenderResult:
        """Render the number, in five rows where there is room."""
        if not self._is_large(self.app.size):
            return super().render()
        text = Text("\n".join(large_rows(self.value)), self.rich_style, no_wrap=True)
        return Align(text, cast(AlignMethod, self.styles.text_align), self.rich_style)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """Return the cells of a row."""
        if not self._is_large(viewport):
            return super().get_content_width(container, viewport)
        return len(large_rows(self.value)[0])

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return 5 where there is room, else 3."""
        if not self._is_large(viewport):
            return super().get_content_height(container, viewport, width)
        return len(large_rows(self.value))

    def _is_large(self, terminal: Size) -> bool:
        """Return whether the terminal is large, and every character can be drawn."""
        fits = terminal.width >= LARGE.width and terminal.height >= LARGE.height
        return fits and set(self.value) <= set(_ROWS)


def large_rows(number: str) -> list[str]:
    """Return the five rows of a number."""
    glyphs = [_ROWS[character] for character in number]
    rows = zip(*glyphs, strict=True) if glyphs else [()] * 5
    return ["  ".join("".join(square * 2 for square in part) for part in row) for row in rows]
