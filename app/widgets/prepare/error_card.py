"""Why engines could not be opened, once for each cause, with what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from app.state.prepare.opening_errors import OpeningError
from app.terminal_text import displayable


class ErrorCard(Vertical):
    """The causes and three buttons; hidden where nothing has failed."""

    class Retry(Message):
        """Open the engines that failed again."""

    class ChooseAnother(Message):
        """Go to the list of models."""

    @dataclass
    class OpenLog(Message):
        """Show a log."""

        path: Path

    def __init__(self) -> None:
        super().__init__(id="error-card")
        self._errors: tuple[OpeningError, ...] = ()
        self.display = False

    def compose(self) -> ComposeResult:
        """Yield the causes and the buttons."""
        yield Static(id="error-text", markup=False)
        with Horizontal():
            yield Button("Retry", variant="primary", compact=True, id="retry")
            yield Button("Choose another", compact=True, id="choose-another")
            yield Button("Open log", compact=True, id="open-log")

    @property
    def text(self) -> str:
        """What is shown; empty without an error."""
        return "\n".join(f"{one.title}: {one.message} {one.hint}".rstrip() for one in self._errors)

    def show(self, errors: tuple[OpeningError, ...]) -> None:
        """Show these causes; none hides the card."""
        if errors == self._errors:
            return
        self._errors, self.display = errors, bool(errors)
        lines = [
            Content.assemble(("✗ ", "$text-error"), (displayable(one.title), "bold"), displayable(_rest(one)))
            for one in errors
        ]
        self.query_one("#error-text", Static).update(Content("\n").join(lines))
        self.query_one("#open-log", Button).display = self._log is not None

    @property
    def _log(self) -> Path | None:
        return next((one.log for one in self._errors if one.log), None)

    @on(Button.Pressed, "#retry")
    def retry(self, event: Button.Pressed) -> None:
        """Ask for another attempt."""
        event.stop()
        self.post_message(self.Retry())

    @on(Button.Pressed, "#choose-another")
    def choose_another(self, event: Button.Pressed) -> None:
        """Ask for another model."""
        event.stop()
        self.post_message(self.ChooseAnother())

    @on(Button.Pressed, "#open-log")
    def open_log(self, event: Button.Pressed) -> None:
        """Ask for the log of the worker that failed first."""
        event.stop()
        if self._log:
            self.post_message(self.OpenLog(self._log))


def _rest(error: OpeningError) -> str:
    return f": {error.message} {error.hint}".rstrip()
