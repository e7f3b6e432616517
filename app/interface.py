"""What screens and widgets may use of the app, so that they do not import the `Playground` class."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from textual.message_pump import MessagePump
from textual.signal import Signal

from app.state.prepare.build_state import BuildState
from app.state.settings.settings import EngineChoice, Settings
from engines.plan.hardware.hardware import Device


class PlaygroundApp(Protocol):
    """The part of `Playground` that screens and widgets use; Textual's own members stay on `node.app`."""

    settings: Settings
    device: Device
    """The CPU."""
    builds: dict[str, BuildState]
    """The latest build of each side, by the side's name."""
    build_changed: Signal[str]
    """Sends the name of the side."""
    settings_changed: Signal[Settings]

    @property
    def settings_path(self) -> Path | None:
        """Where the settings are saved; None if they are not."""

    def change_settings(self, **changes: object) -> None:
        """Replace the named settings, publish them and save them."""

    def choose(
        self, checkpoint: str, context: int, left: EngineChoice, right: EngineChoice, names: tuple[str, ...]
    ) -> None:
        """Save the choice made on Prepare, then build and load the engines of the sides in `names`."""

    def cancel_builds(self) -> None:
        """Cancel every build."""

    async def find_interpreters(self) -> None:
        """Look for the environments of backends that run in another interpreter."""

    def show_chat(self) -> None:
        """Close the screens above the chat."""


def playground(node: MessagePump) -> PlaygroundApp:
    """Return the app of a screen or widget as its interface; a cast, not a check."""
    return cast(PlaygroundApp, node.app)
