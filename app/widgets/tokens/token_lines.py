"""Wrap the tokens of an answer into lines, and find a token from a place and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

from app.terminal_text import displayable

TAB = "    "
NEWLINE = "↵"
"""Shown for a token that is a line break alone, so that it can be shaded and marked."""


@dataclass(frozen=True)
class Piece:
    """A part of a token on one line."""

    token: int
    """Index of the token."""
    text: str
    column: int
    """First cell on the line."""


def token_lines(tokens: Sequence[str], width: int) -> list[list[Piece]]:
    """Return lines of at most `width` cells; control characters are replaced.

    A token that does not fit starts a new line, and line breaks are kept.
    """
    lines: list[list[Piece]] = [[]]
    column = 0
    for index, token in enumerate(tokens):
        parts = displayable(token).replace("\t", TAB).split("\n")
        for number, part in enumerate(parts):
            if number:
                lines[-1].append(Piece(index, NEWLINE, column))
                lines.append([])
                column = 0
            for fragment in _fragments(part, width):
                if column and column + cell_len(fragment) > width:
                    lines.append([])
                    column = 0
                lines[-1].append(Piece(index, fragment, column))
                column += cell_len(fragment)
    return lines


def place_of(lines: Sequence[Sequence[Piece]], token: int) -> tuple[int, int]:
    """Return the line and column at which a token begins; the start for one that has no text."""
    for row, line in enumerate(lines):
        for piece in line:
            if piece.token == token:
                return row, piece.column
    return 0, 0


def token_at(lines: Sequence[Sequence[Piece]], row: int, column: int) -> int | None:
    """Return the token at a cell; the last one of its line for a cell after it, None below the text."""
    if not 0 <= row < len(lines) or not lines[row]:
        return None
    before = [piece for piece in lines[row] if piece.column <= column]
    return (before or lines[row])[-1].token


def _fragments(text: str, width: int) -> list[str]:
    """Return the text in parts that fit a line."""
    if cell_len(text) <= width:
        return [text] if text else []
    return chop_cells(text, max(2, width))
