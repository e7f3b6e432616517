"""What became of an engine while the user looked at something else, as a toast; else the screen shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.state.prepare.build_state import BuildState
from app.state.side.pacing import displayable
from app.state.side.side import Side
from app.state.side.snapshot import Phase

if TYPE_CHECKING:
    from app.playground import Playground


def tell_opened(app: Playground, side: Side, build: BuildState) -> None:
    """An engine became ready, or could not be had: the chat and Prepare show both."""
    from app.screens.chat import ChatScreen
    from app.screens.prepare import PrepareScreen

    if isinstance(app.screen, ChatScreen | PrepareScreen):
        return
    if build.error:
        _tell_failure(app, side, "not prepared", build.error.message)
    elif build.ready:
        app.notify(f"{side.title} is ready.", title=side.name.capitalize(), markup=False)


def tell_death(app: Playground, side: Side) -> None:
    """A loaded engine died: the chat has a card for it."""
    if side.phase is not Phase.FAILED:
        return
    from app.screens.chat import ChatScreen

    build = app.builds.get(side.name)
    opening = build is not None and build.running
    if side.error and not opening and not isinstance(app.screen, ChatScreen):
        _tell_failure(app, side, "the engine died", side.error.message)


def _tell_failure(app: Playground, side: Side, what: str, why: str) -> None:
    """The hint stands on the side's card in the chat."""
    app.notify(
        displayable(why),
        title=f"{side.name.capitalize()}: {what}",
        severity="error",
        timeout=6,
        markup=False,
    )
