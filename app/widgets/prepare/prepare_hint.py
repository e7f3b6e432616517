"""The line above the choice on Prepare: what to do, or what went wrong."""

from __future__ import annotations

from collections.abc import Mapping

from textual.widgets import Static

from app.state.prepare.build_state import BuildState
from app.state.side.pacing import displayable

CHOOSE = "Choose a precision for each side, then press Enter. Tab moves on."


class PrepareHint(Static):
    """Above the choice, so that it is seen at every size."""

    def __init__(self) -> None:
        super().__init__(CHOOSE, id="prepare-hint", markup=False)

    def show(self, states: Mapping[str, BuildState]) -> None:
        """Say how it stands with what is being prepared, or was."""
        self.set_class(any(state.error for state in states.values()), "-failed")
        self.update(_words(states))


def _words(states: Mapping[str, BuildState]) -> str:
    if any(state.running for state in states.values()):
        return "Preparing. Esc cancels; F2 goes to the chat and lets it run on."
    failed = [
        f"✗ {name.capitalize()}: {one.error.message} {one.error.hint}".rstrip()
        for name, one in states.items()
        if one.error
    ]
    if failed:
        return displayable("\n".join(failed))
    if any(state.cancelled for state in states.values()):
        return f"Cancelled. {CHOOSE}"
    return CHOOSE
