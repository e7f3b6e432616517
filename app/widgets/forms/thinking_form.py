"""The form for whether and how much a side's model thinks: what its chat template lets one choose."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Select, Static

from engines.worker.template_arguments import (
    BUDGETS,
    EFFORT_LEVELS,
    EFFORTS,
    OFF,
    ON,
    SWITCHES,
    Thinking,
)

BY_TEMPLATE = "default"
"""What the chat template does by itself; longer texts break in 80 columns."""
TITLES: Final = {"switch": "Thinking", "effort": "Thinking effort", "budget": "Thinking budget"}
VARIABLES: Final = {"switch": SWITCHES, "effort": EFFORTS, "budget": BUDGETS}
CHOICES: Final[dict[str, tuple[tuple[str, str | int], ...]]] = {
    "switch": ((BY_TEMPLATE, ""), (ON, ON), (OFF, OFF)),
    "effort": ((BY_TEMPLATE, ""), *((level, level) for level in EFFORT_LEVELS)),
    # Seed-OSS was trained with these; 0 is no thinking.
    "budget": (
        (BY_TEMPLATE, -1),
        *((f"{count:,} tokens", count) for count in (0, 512, 1024, 2048, 4096, 8192, 16384)),
    ),
}
"""By field of Thinking: the texts and values to choose from."""


class ThinkingForm(Vertical):
    """One list for each field of Thinking; only those that the chat template reads are shown."""

    @dataclass
    class Changed(Message):
        """Another value was chosen."""

        thinking: Thinking

    def __init__(self, thinking: Thinking) -> None:
        super().__init__(classes="thinking-form")
        self.thinking = thinking
        self.display = False

    def compose(self) -> ComposeResult:
        """Yield a row for each field."""
        for name, title in TITLES.items():
            with Horizontal(classes=f"form-row row-{name}"):
                yield Static(title, classes="form-label")
                yield Select[str | int](
                    self._choices(name),
                    value=getattr(self.thinking, name),
                    allow_blank=False,
                    compact=True,
                    classes=f"thinking-{name}",
                )

    def offer(self, variables: Collection[str]) -> None:
        """Show the fields for which a chat template reads one of these variables."""
        offered = [name for name in TITLES if any(one in variables for one in VARIABLES[name])]
        for name in TITLES:
            self.query_one(f".row-{name}").display = name in offered
        self.display = bool(offered)

    def show(self, thinking: Thinking) -> None:
        """Show other values."""
        self.thinking = thinking
        with self.prevent(Select.Changed):
            for name in TITLES:
                select: Select[str | int] = self.query_one(f".thinking-{name}", Select)
                select.set_options(self._choices(name))
                select.value = getattr(thinking, name)

    @on(Select.Changed)
    def read(self, event: Select.Changed) -> None:
        """Post the values."""
        event.stop()
        values = {name: self.query_one(f".thinking-{name}", Select).value for name in TITLES}
        thinking = Thinking(**values)  # type: ignore[arg-type]
        if thinking != self.thinking:
            self.thinking = thinking
            self.post_message(self.Changed(thinking))

    def _choices(self, name: str) -> list[tuple[str, str | int]]:
        """Return the choices, with a value that the settings file may have besides."""
        present, choices = getattr(self.thinking, name), list(CHOICES[name])
        known = any(value == present for _, value in choices)
        return choices if known else [*choices, (f"{present}", present)]
