"""One line for the first time: what to do, and where the rest is."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Static

WELCOME = "New here? Choose, press Enter, then chat. F1 help, Ctrl+P everything."


class Welcome(Horizontal):
    """Goes away when it is told to, or when it has been followed."""

    DEFAULT_CSS = """
    Welcome {
        height: auto;
        padding: 0 1;
        background: $primary 20%;

        Static {
            width: 1fr;
            padding: 0 1;
        }

        Button {
            min-width: 4;
        }
    }
    """

    def compose(self) -> ComposeResult:
        """The line and the button."""
        yield Static(WELCOME)
        yield Button("OK", compact=True, id="welcomed")

    @on(Button.Pressed)
    def dismiss(self, event: Button.Pressed) -> None:
        """It has been read."""
        event.stop()
        self.remove()
