"""Ask for a name."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static


class NameScreen(ModalScreen[str]):
    """One field over the current screen. The result is the name, or None after Esc."""

    CSS_PATH = "../styles/name.tcss"
    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012

    def __init__(self, title: str, problem: Callable[[str], str], name: str = "") -> None:
        """Create the question.

        Args:
            title: What is named.
            problem: Says in words why a name cannot be used; empty when it can.
            name: What the field holds at first.
        """
        super().__init__()
        self._title, self._problem, self._first = title, problem, name

    def compose(self) -> ComposeResult:
        """The field, and below it what to do or what is wrong."""
        with Vertical(id="name") as box:
            box.border_title = self._title
            yield Input(self._first, max_length=60, compact=True)
            yield Static("Enter keeps it, Esc leaves it.", id="name-note", markup=False)
        yield Footer(compact=True)

    @on(Input.Changed)
    def judge(self, event: Input.Changed) -> None:
        """Say what is wrong while it is written."""
        problem = self._problem(event.value.strip()) if event.value else ""
        note = self.query_one("#name-note", Static)
        note.set_class(bool(problem), "-wrong")
        note.update(problem or "Enter keeps it, Esc leaves it.")

    @on(Input.Submitted)
    def keep(self, event: Input.Submitted) -> None:
        """Give the name back, if it can be one."""
        name = event.value.strip()
        if problem := self._problem(name):
            self.query_one("#name-note", Static).add_class("-wrong").update(problem)
        else:
            self.dismiss(name)

    def action_cancel(self) -> None:
        """Leave it."""
        self.dismiss(None)
