"""The part of the app that widgets use, as a protocol: widgets do not import the app, which imports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from textual.dom import DOMNode

if TYPE_CHECKING:
    from textual.signal import Signal

    from app.state.settings.settings import Settings
    from app.state.side.side import Side
    from app.state.side.snapshot import Snapshot
    from engines.build.store import EngineStore
    from engines.plan.hardware.hardware import Device


class PlaygroundApp(Protocol):
    """Settings, sides, devices and signals of the app."""

    settings: Settings
    store: EngineStore
    left: Side
    right: Side
    gpus: tuple[Device, ...]
    snapshots: Signal[Snapshot]
    side_changed: Signal[Side]
    settings_changed: Signal[Settings]

    @property
    def sides(self) -> tuple[Side, Side]:
        """Return the left and the right side."""
        ...


def playground(node: DOMNode) -> PlaygroundApp:
    """Return the app of a widget or screen, typed as `PlaygroundApp`."""
    return cast("PlaygroundApp", node.app)
