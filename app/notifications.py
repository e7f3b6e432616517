"""Toasts about engines, for what happens while the user looks at a screen that does not show it."""

from __future__ import annotations

from textual.app import App

from app.navigation import Navigation
from app.state.prepare.build_state import BuildState
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.terminal_text import displayable


class EngineNotifications:
    """Reports engines that became ready, could not be prepared, or died."""

    def __init__(self, app: App[None], navigation: Navigation) -> None:
        self._app, self._navigation = app, navigation
        self._reported: BuildState | None = None

    def opened(self, side: Side) -> None:
        """Report the end of a preparation, once; the chat and Models show it themselves."""
        build = side.build
        if build is None or build is self._reported or self._navigation.shows("chat", "models"):
            return
        self._reported = build
        if build.error:
            self._fail(side, "not prepared", build.error.message)
        elif build.ready:
            self._app.notify(f"{side.title} is ready.", title=side.name.capitalize(), markup=False)

    def phase_changed(self, side: Side) -> None:
        """Report that a loaded engine died; the chat has a card for it."""
        opening = side.build is not None and side.build.running
        if side.phase is Phase.FAILED and side.error and not opening and not self._navigation.shows("chat"):
            self._fail(side, "the engine died", side.error.message)

    def _fail(self, side: Side, what: str, why: str) -> None:
        title = f"{side.name.capitalize()}: {what}"
        # The hint is on the side's card in the chat.
        self._app.notify(displayable(why), title=title, severity="error", timeout=6, markup=False)
