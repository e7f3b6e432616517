"""Why a side has no engine any more."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from app.state.side.pacing import displayable
from engines.worker.protocol import Error


class FailureCard(Vertical):
    """What went wrong with an engine, and what to do; not there while all is well."""

    def compose(self) -> ComposeResult:
        """The reason and two buttons."""
        yield Static(classes="failure-text", markup=False)
        with Horizontal(classes="failure-buttons"):
            yield Button("Restart (F9)", variant="error", compact=True, action="screen.restart")
            yield Button("Choose (F2)", compact=True, action="app.open('prepare')")

    def on_mount(self) -> None:
        """All is well."""
        self.display = False
        self._error: Error | None = None

    def show(self, error: Error | None) -> None:
        """Show an error, or nothing."""
        if error is self._error:
            return
        self._error, self.display = error, error is not None
        if error:
            self.query_one(".failure-text", Static).update(displayable(f"✗ {error.message}\n{error.hint}"))
