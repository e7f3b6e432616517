"""How a token is written: with the sign of its shade, or in quotes."""

from __future__ import annotations

from app.terminal_text import displayable

SIGNS = ("", "¹", "²", "³")
"""Shown after a token with its shade, for readers who do not see the colours."""
PROBABILITY_LEGEND = "probability ¹ below .5  ² below .2  ³ below .05"
"""The signs of a token's own probability: `engines.compare.answer_text.UNSURE`."""


def signed(piece: str, shade: int) -> str:
    """Return a token with the sign of its shade, 0 to 3; line breaks stay last."""
    body = piece.rstrip("\n")
    return f"{body}{SIGNS[shade]}{piece[len(body) :]}"


def quoted(piece: str) -> str:
    """Return a token in quotes, in one line, with line breaks and tabs visible."""
    shown = displayable(piece).replace("\n", "↵").replace("\t", "→")
    return f"“{shown}”"
