"""Between an engine's rate and the screen's: text waits here until the next flush."""

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
"""Tok/s of both sides together above which two Markdown panes cost more than a frame at 10 Hz."""
SLOW_FLUSH_SECONDS = 0.04


@dataclass
class TextBuffer:
    """The text of one answer as it grows. Nothing that came in is ever lost."""

    text: str = ""
    """Everything so far."""
    _shown: int = 0

    def add(self, text: str) -> None:
        """Take text from the engine."""
        self.text += text

    def take(self) -> str:
        """What has come since the last call."""
        new, self._shown = self.text[self._shown :], len(self.text)
        return new

    def finish(self, text: str) -> None:
        """The whole answer, as the engine said it at the end."""
        self.text, self._shown = text, len(text)


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
