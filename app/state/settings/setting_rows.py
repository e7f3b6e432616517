"""The settings that have no better place, as a table: one line a setting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_type_hints

from app.state.settings.settings import MINIMUM_CONTEXT, Settings


@dataclass(frozen=True)
class SettingRow:
    """One setting on the settings screen. Its type says with what it is edited."""

    name: str
    """As in Settings: an enumeration, a bool, a whole number or a text."""
    title: str
    meaning: str
    least: int = 0
    """The smallest number."""

    @property
    def type(self) -> Any:
        """As Settings declares it."""
        return get_type_hints(Settings)[self.name]

    @property
    def choices(self) -> list[str]:
        """What can be chosen; empty where it is not an enumeration."""
        return list(self.type) if isinstance(self.type, type) and issubclass(self.type, StrEnum) else []

    def value(self, text: str) -> Any:
        """What was chosen or written; None where it cannot be used."""
        if self.choices:
            return self.type(text)
        if self.type is int:
            return int(text) if text.isdecimal() and int(text) >= self.least else None
        return text

    @property
    def problem(self) -> str:
        """What to write instead of a text that cannot be used."""
        return f"Write a whole number of at least {self.least}."


ROWS = (
    SettingRow("timing", "Timing", "In turn: each at its own speed. Together: sharing it."),
    SettingRow("panels", "Panels", "Speed, memory, KV cache and device under the chat."),
    SettingRow(
        "context", "Context tokens", "Prompt and answer, for engines prepared from now on.", MINIMUM_CONTEXT
    ),
    SettingRow("context_full", "Context full", "Trim: oldest turns are left out. Refuse: no answer."),
)
