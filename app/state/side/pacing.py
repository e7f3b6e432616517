"""Between an engine's text and the screen: how often it is drawn, and what of it a terminal may see."""

from __future__ import annotations

_CONTROL = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""Characters that a terminal would obey: model text is data, so they are shown as unprintable."""


def displayable(text: str) -> str:
    """The text with nothing in it that a terminal would take for a command."""
    return text.translate(_CONTROL)


CALM_SECONDS = 0.1
"""Between two drawings of an answer that is read as it comes."""
BUSY_RATE = 100.0
"""Tok/s of both sides together that nobody reads along: drawn with the panels, four times a second."""
