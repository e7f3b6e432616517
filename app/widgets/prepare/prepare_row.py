"""The last row of Prepare: the context, which sides, and the buttons."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Input, Select, Static

from app.state.settings.settings import MINIMUM_CONTEXT

SIDES = ("both", "left", "right")


class PrepareRow(Horizontal):
    """What both engines have in common."""

    def __init__(self, context: int) -> None:
        super().__init__(id="prepare-row")
        self._first = context

    def compose(self) -> ComposeResult:
        """Two fields, two buttons."""
        yield Static("Context", classes="label")
        yield Input(str(self._first), type="integer", id="context", compact=True, max_length=8)
        yield Static("Sides", classes="label")
        sides = [(name, name) for name in SIDES]
        yield Select(sides, value="both", allow_blank=False, id="sides", compact=True)
        yield Button("Prepare", variant="primary", id="go", compact=True)
        yield Button("Cancel", id="cancel", compact=True, disabled=True)

    @property
    def tokens(self) -> int | None:
        """The context; None where it is no number, or too small."""
        text = self.query_one("#context", Input).value
        return int(text) if text.isdecimal() and int(text) >= MINIMUM_CONTEXT else None

    @property
    def names(self) -> tuple[str, ...]:
        """The sides that are to be prepared."""
        return ("left", "right") if self.sides == "both" else (self.sides,)

    @property
    def sides(self) -> str:
        """One of SIDES."""
        return str(self.query_one("#sides", Select).value)

    def show_context(self, tokens: int) -> None:
        """Another context was chosen elsewhere."""
        self.query_one("#context", Input).value = str(tokens)
