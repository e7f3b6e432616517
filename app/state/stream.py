"""Between an engine's text and the screen: how often it is drawn, and what of it a terminal may see."""

from __future__ import annotations

from dataclasses import dataclass

_CONTROL = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""Characters that a terminal would obey: model text is data, so they are shown as unprintable."""


def displayable(text: str) -> str:
    """The text with nothing in it that a terminal would take for a command."""
    return text.translate(_CONTROL)


CALM_SECONDS = 0.1
BUSY_SECONDS = 0.25
BUSY_RATE = 300.0
"""Tok/s of both sides together that nobody reads along: drawn less often, to leave the engines more."""
SLOW_FLUSH_SECONDS = 0.04


@dataclass
class FlushPolicy:
    """How often a pane draws new text: 10 Hz, or 4 Hz when tokens come fast or drawing is slow."""

    interval: float = CALM_SECONDS

    def after_flush(self, rate: float, seconds: float) -> float:
        """The pause until the next flush.

        Args:
            rate: tok/s of both sides together.
            seconds: what the last flush took.
        """
        busy = rate > BUSY_RATE or seconds > SLOW_FLUSH_SECONDS
        self.interval = BUSY_SECONDS if busy else CALM_SECONDS
        return self.interval
