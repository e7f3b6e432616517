"""Choose one entry of a list."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from app.screens.guarded_screen import GuardedScreen
from app.terminal_text import displayable
from app.widgets.key_footer import KeyFooter
from app.widgets.marked_lists import MarkedOptionList


class ChooseScreen(ModalScreen[int], GuardedScreen[int]):
    """A list over the current screen. The result is the index of the entry, or None after Esc."""

    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012
    DEFAULT_CSS = """
    ChooseScreen {
        align: center middle;

        #choose {
            width: 70;
            max-width: 90%;
            height: auto;
            max-height: 80%;
            border: round $primary;
            padding: 0 1;
            background: $surface;
        }

        OptionList {
            height: auto;
            max-height: 16;
            border: none;
            padding: 0;
            background: transparent;
        }

        Static { color: $foreground-muted; }
    }
    """

    def __init__(self, title: str, entries: Sequence[str], note: str) -> None:
        """Create the list.

        Args:
            note: a line below it, such as what Enter does.
        """
        super().__init__()
        self._title, self._entries, self._note = title, entries, note

    def compose(self) -> ComposeResult:
        """The entries, and the note."""
        with Vertical(id="choose") as box:
            box.border_title = Content(displayable(self._title))
            yield MarkedOptionList(*(Content(displayable(entry)) for entry in self._entries))
            yield Static(Content(self._note))
        yield KeyFooter()

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Close with the entry."""
        self.dismiss(event.option_index)

    def action_cancel(self) -> None:
        """Close without one."""
        self.dismiss(None)
