"""The Go-to menu: every screen and what F-keys do, by one letter, in any terminal and in text fields."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList

from app.keys import PLACES, Place
from app.screens.guarded_screen import GuardedScreen
from app.widgets.key_footer import KeyFooter
from app.widgets.marked_lists import MarkedOptionList


class GoToScreen(ModalScreen[None], GuardedScreen[None]):
    """A list of places over the current screen; a letter, Enter or a click goes there."""

    DEFAULT_CSS = """
    GoToScreen {
        align: center middle;

        #go-to {
            width: 58;
            max-width: 95%;
            height: auto;
            max-height: 100%;
            border: round $primary;
            background: $surface;
            padding: 0 1;
        }

        OptionList {
            height: auto;
            max-height: 100%;
            border: none;
            padding: 0;
            background: transparent;
            scrollbar-size-vertical: 1;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Close"),
        *(Binding(place.key, f"choose({index})", show=False) for index, place in enumerate(PLACES)),
    ]

    def compose(self) -> ComposeResult:
        """Yield one line per place."""
        with Vertical(id="go-to") as menu:
            menu.border_title, menu.border_subtitle = "Go to", "a letter, or Enter · Esc closes"
            yield MarkedOptionList(*map(_line, PLACES), compact=True)
        yield KeyFooter()

    @on(OptionList.OptionSelected)
    def take(self, event: OptionList.OptionSelected) -> None:
        """Go to the chosen line's place."""
        self.action_choose(event.option_index)

    def action_choose(self, index: int) -> None:
        """Close the menu and run the place's action on the screen below."""
        app = self.app
        self.dismiss()
        app.call_later(app.run_action, PLACES[index].action)

    def action_cancel(self) -> None:
        """Close the menu."""
        self.dismiss()


def _line(place: Place) -> Content:
    return Content.assemble(
        (f"{place.key}  ", "bold $text-accent"), f"{place.title:<24}", (place.does, "$foreground-muted")
    )
