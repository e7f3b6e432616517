"""App-wide messages: what has happened, in the past tense."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from app.state.side import Side
from engines.build.prepare import Step


@dataclass
class SideChanged(Message):
    """A side entered another phase."""

    side: Side

    def can_replace(self, message: Message) -> bool:
        """Only the newest phase of a side matters."""
        return isinstance(message, SideChanged) and message.side is self.side


@dataclass
class StepTaken(Message):
    """A side's engine is one step nearer, ready, or failed."""

    side: Side
    step: Step
