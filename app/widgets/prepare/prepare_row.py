"""The row above the engines: context size, sides and buttons."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Input, Select, Static

from app.state.settings.settings import MINIMUM_CONTEXT

SIDES = ("both", "left", "right")


class PrepareRow(Horizontal):
    """The options shared by both engines, with the buttons."""

    def __init__(self, context: int) -> None:
        super().__init__(id="prepare-row")
        self._initial = context
        self._offers_one = False

    def compose(self) -> ComposeResult:
        """Yield context, sides and two buttons."""
        yield Static("Context", classes="label")
        yield Input(str(self._initial), type="integer", id="context", compact=True, max_length=8)
        yield Static("Sides", classes="label")
        sides = [(name, name) for name in SIDES]
        yield Select(sides, value="both", allow_blank=False, id="sides", compact=True)
        yield Button("Build and chat", variant="primary", id="go", compact=True)
        yield Button("Cancel", id="cancel", compact=True, disabled=True)

    @property
    def tokens(self) -> int | None:
        """Return the context in tokens; None if it is not a number or below MINIMUM_CONTEXT."""
        text = self.query_one("#context", Input).value
        return int(text) if text.isdecimal() and int(text) >= MINIMUM_CONTEXT else None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the sides to prepare."""
        return ("left", "right") if self.sides == "both" else (self.sides,)

    @property
    def sides(self) -> str:
        """Return the choice of sides, one of SIDES."""
        return str(self.query_one("#sides", Select).value)

    def offer_one(self, one: bool) -> None:
        """Offer only the left side, as for a GGUF file whose dequantised form does not run, or both again."""
        if one != self._offers_one:
            self._offers_one = one
            before, after = ("both", "left") if one else ("left", "both")
            if self.sides == before:
                self.query_one("#sides", Select).value = after

    def show_context(self, tokens: int) -> None:
        """Show a context that was changed elsewhere."""
        self.query_one("#context", Input).value = str(tokens)
