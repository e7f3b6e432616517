"""The error of a side whose engine failed, with the actions to recover."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Button, Static

from app.terminal_text import displayable
from engines.worker.protocol import Error

SAME = "✗ The same problem as on the left."


class FailureCard(Vertical):
    """An engine's error with three buttons; hidden without an error."""

    @dataclass
    class OpenLog(Message):
        """Show the log of the worker."""

        path: Path

    def compose(self) -> ComposeResult:
        """Yield the message and the buttons."""
        yield Static(classes="failure-text", markup=False)
        with Horizontal(classes="failure-buttons"):
            yield Button("Restart (F9)", variant="error", compact=True, action="app.restart_failed")
            yield Button("Choose (F2)", compact=True, action="app.open('models')")
            yield Button("Open log", compact=True, classes="open-log")

    def on_mount(self) -> None:
        """Start hidden; there is no error yet."""
        self.display = False
        self._shown: tuple[Error | None, bool, bool] = None, False, False
        self._log: Path | None = None

    def show(
        self,
        error: Error | None,
        log: Path | None = None,
        *,
        is_repeated: bool = False,
        is_told: bool = False,
    ) -> None:
        """Show an error; hide the card if it is None.

        Args:
            log: of the worker.
            is_repeated: whether the other side has failed for the same cause and shows it.
            is_told: whether the answer above ends with the message.
        """
        self._log = log
        if (error, is_repeated, is_told) == self._shown:
            return
        self._shown, self.display = (error, is_repeated, is_told), error is not None
        self.query_one(".failure-buttons").display = not is_repeated
        self.query_one(".open-log", Button).display = log is not None
        if error:
            told = f"✗ {error.message}\n{error.hint}" if not is_told else error.hint or f"✗ {error.message}"
            text = SAME if is_repeated else told
            self.query_one(".failure-text", Static).update(displayable(text))

    @on(Button.Pressed, ".open-log")
    def open_log(self, event: Button.Pressed) -> None:
        """Ask for the log."""
        event.stop()
        if self._log:
            self.post_message(self.OpenLog(self._log))
