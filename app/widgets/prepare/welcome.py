"""The hint shown at the first start."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Static

WELCOME = "New here? Enter builds the demo engines. F1 help · Ctrl+P all commands"


class Welcome(Horizontal):
    """A hint with an OK button; Models removes it after the first build."""

    def compose(self) -> ComposeResult:
        """Yield the hint and the button."""
        yield Static(WELCOME)
        yield Button("OK", compact=True, id="welcomed")

    @on(Button.Pressed)
    def dismiss(self, event: Button.Pressed) -> None:
        """Remove the first-run hint."""
        event.stop()
        self.remove()
