"""What screens and widgets may use of the app, so that they do not import the `Playground` class."""

from __future__ import annotations

from typing import Protocol, cast

from textual.message_pump import MessagePump
from textual.signal import Signal

from app.state.settings.settings import Settings
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from engines.build.store import EngineStore
from engines.plan.hardware.hardware import Device


class PlaygroundApp(Protocol):
    """The part of `Playground` that screens and widgets use; Textual's own members stay on `node.app`."""

    settings: Settings
    store: EngineStore
    left: Side
    right: Side
    gpus: tuple[Device, ...]
    """In the driver's order."""
    snapshots: Signal[Snapshot]
    side_changed: Signal[Side]
    settings_changed: Signal[Settings]

    @property
    def sides(self) -> tuple[Side, Side]:
        """Return the left and the right side."""


def playground(node: MessagePump) -> PlaygroundApp:
    """Return the app of a screen or widget as its interface; a cast, not a check."""
    return cast(PlaygroundApp, node.app)
