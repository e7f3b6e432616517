"""The error of a side whose engine failed, with the actions to recover."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from app.terminal_text import displayable
from engines.worker.protocol import Error


class FailureCard(Vertical):
    """An engine's error message and hint, with Restart and Choose buttons; hidden without an error."""

    def compose(self) -> ComposeResult:
        """Yield the message and two buttons."""
        yield Static(classes="failure-text", markup=False)
        with Horizontal(classes="failure-buttons"):
            yield Button("Restart (F9)", variant="error", compact=True, action="screen.restart")
            yield Button("Choose (F2)", compact=True, action="app.open('prepare')")

    def on_mount(self) -> None:
        """Start hidden; there is no error yet."""
        self.display = False
        self._error: Error | None = None

    def show(self, error: Error | None) -> None:
        """Show `error`; hide the card if it is None."""
        if error is self._error:
            return
        self._error, self.display = error, error is not None
        if error:
            self.query_one(".failure-text", Static).update(displayable(f"✗ {error.message}\n{error.hint}"))
