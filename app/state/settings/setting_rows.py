"""The settings that only the settings screen changes, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_type_hints

from app.state.settings.settings import MINIMUM_CONTEXT, Settings


@dataclass(frozen=True)
class SettingRow:
    """One setting on the settings screen. Its type decides which widget edits it."""

    name: str
    """Field of Settings: an enumeration, a bool, an integer or a string."""
    title: str
    meaning: str
    least: int = 0
    """The smallest valid number."""

    @property
    def type(self) -> Any:
        """The type that Settings declares."""
        return get_type_hints(Settings)[self.name]

    @property
    def choices(self) -> list[str]:
        """The values of an enumeration; empty for other types."""
        return list(self.type) if isinstance(self.type, type) and issubclass(self.type, StrEnum) else []

    def value(self, text: str) -> Any:
        """Return the value of what was chosen or written; None where it is invalid."""
        if self.choices:
            return self.type(text)
        if self.type is int:
            return int(text) if text.isdecimal() and int(text) >= self.least else None
        return text

    @property
    def problem(self) -> str:
        """What to write instead of an invalid text."""
        return f"Write a whole number of at least {self.least}."


ROWS = (
    SettingRow("timing", "Timing", "In turn: each at its own speed. Together: sharing it."),
    SettingRow("panels", "Panels", "Speed, memory, KV cache and device under the chat."),
    SettingRow("scroll_together", "Scroll together", "Both sides to the same place of the same turn."),
    SettingRow(
        "context", "Context tokens", "Prompt and answer, for engines prepared from now on.", MINIMUM_CONTEXT
    ),
    SettingRow("context_full", "Context full", "Trim: oldest turns are left out. Refuse: no answer."),
)
