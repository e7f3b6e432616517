"""The end of a very long answer as plain lines, at a cost that does not depend on its length or content."""

from __future__ import annotations

from rich.cells import chop_cells
from rich.segment import Segment
from rich.style import Style

from app.terminal_text import displayable
from app.widgets.chat.transcript.line_renderer import Line

LONG_CHARACTERS, LONG_LINES = 100_000, 2_000
"""Markdown of more than this would hold up the app: a table of 20,000 rows took 9 s."""


def is_long(text: str) -> bool:
    """Return whether a text is too long for Markdown."""
    return len(text) > LONG_CHARACTERS or text.count("\n") > LONG_LINES


def newest_lines(text: str, width: int, style: Style) -> tuple[list[Line], int]:
    """Return the newest LONG_LINES lines of at most `width` cells, and how many characters are left out."""
    newest = text[-LONG_CHARACTERS:]
    pieces: list[str] = []
    for line in displayable(newest).expandtabs(4).split("\n")[-LONG_LINES:]:
        pieces += chopped(line, width)
    shown = pieces[-LONG_LINES:]
    left_out = max(0, len(text) - sum(len(piece) + 1 for piece in shown))
    return [[Segment(piece, style)] for piece in shown], left_out


def chopped(line: str, width: int) -> list[str]:
    """Return a line in pieces of at most `width` cells."""
    if not line.isascii():
        return chop_cells(line, max(2, width)) or [""]
    return [line[start : start + width] for start in range(0, len(line), width)] or [""]
