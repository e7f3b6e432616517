"""Ask whether running engines may be unloaded before the new ones are loaded."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from app.screens.guarded_screen import GuardedScreen
from app.terminal_text import displayable
from app.units import bytes_text
from app.widgets.key_footer import KeyFooter


class MakeRoomScreen(ModalScreen[bool], GuardedScreen[bool]):
    """A question over the current screen. The result is whether to unload; Esc keeps the engines."""

    CSS_PATH = "../styles/make_room.tcss"
    AUTO_FOCUS = "#unload"
    BINDINGS = [Binding("escape", "keep", "Keep them")]  # noqa: RUF012

    def __init__(self, titles: tuple[str, ...], missing: int) -> None:
        """Create the question.

        Args:
            titles: of the running engines.
            missing: bytes that the new engines need beyond what is free.
        """
        super().__init__()
        self._titles, self._missing = titles, missing

    def compose(self) -> ComposeResult:
        """Yield the question and two buttons."""
        names = displayable(" and ".join(self._titles))
        with Vertical(id="make-room") as box:
            box.border_title = "Not enough memory for both"
            yield Static(f"Unload {names} to make room?", id="make-room-question", markup=False)
            yield Static(
                f"The new engines are built. Beside the running ones they need {bytes_text(self._missing)} "
                "more than is free. The conversation stays.",
                markup=False,
            )
            with Horizontal():
                yield Button("Unload", variant="primary", id="unload", compact=True)
                yield Button("Keep running", id="keep", compact=True)
        yield KeyFooter()

    @on(Button.Pressed, "#unload")
    def unload(self) -> None:
        """Close with yes."""
        self.dismiss(True)

    @on(Button.Pressed, "#keep")
    def action_keep(self) -> None:
        """Close with no."""
        self.dismiss(False)
