"""Ask for a name."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from app.screens.guarded_screen import GuardedScreen
from app.widgets.key_footer import KeyFooter

HINT = "Enter saves, Esc cancels."


class NameScreen(ModalScreen[str], GuardedScreen[str]):
    """One field over the current screen. The result is the name, or None after Esc."""

    CSS_PATH = "../styles/name.tcss"
    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012

    def __init__(self, title: str, problem: Callable[[str], str], name: str = "") -> None:
        """Create the question.

        Args:
            title: Title of the box.
            problem: Returns why a name cannot be used, as text; empty if it can.
            name: Initial content of the field.
        """
        super().__init__()
        self._title, self._problem, self._first = title, problem, name

    def compose(self) -> ComposeResult:
        """The field, and below it the keys or what is wrong."""
        with Vertical(id="name") as box:
            box.border_title = self._title
            yield Input(self._first, max_length=60, compact=True)
            yield Static(HINT, id="name-note", markup=False)
        yield KeyFooter()

    @on(Input.Changed)
    def check_name(self, event: Input.Changed) -> None:
        """Show what is wrong while typing."""
        problem = self._problem(event.value.strip()) if event.value else ""
        note = self.query_one("#name-note", Static)
        note.set_class(bool(problem), "-wrong")
        note.update(problem or HINT)

    @on(Input.Submitted)
    def submit(self, event: Input.Submitted) -> None:
        """Close with the name, if it can be used."""
        name = event.value.strip()
        if problem := self._problem(name):
            self.query_one("#name-note", Static).add_class("-wrong").update(problem)
        else:
            self.dismiss(name)

    def action_cancel(self) -> None:
        """Close without a name."""
        self.dismiss(None)
