"""The line at the top of Prepare: what to do next, or what failed."""

from __future__ import annotations

from collections.abc import Mapping

from textual.widgets import Static

from app.state.prepare.build_state import BuildState
from app.terminal_text import displayable

CHOOSE = "Pick a precision for each side, then press Enter. Tab: next field"


class PrepareHint(Static):
    """The next step, or errors; above the pickers, so that it is visible at every terminal size."""

    def __init__(self) -> None:
        super().__init__(CHOOSE, id="prepare-hint", markup=False)

    def show(self, states: Mapping[str, BuildState]) -> None:
        """Show the hint for these builds, by side."""
        self.set_class(any(state.error for state in states.values()), "-failed")
        self.update(_hint(states))


def _hint(states: Mapping[str, BuildState]) -> str:
    if any(state.running for state in states.values()):
        return "Building… Esc cancels · F2 opens the chat, the build continues"
    failed = [
        f"✗ {name.capitalize()}: {state.error.message} {state.error.hint}".rstrip()
        for name, state in states.items()
        if state.error
    ]
    if failed:
        return displayable("\n".join(failed))
    if any(state.cancelled for state in states.values()):
        return f"Cancelled; partial files removed. {CHOOSE}"
    return CHOOSE
