"""What the screens look like, by size and theme.

The app is the real one, held still (`tests/app/still.py`): fixed device, measures and conversations, no
engine, no clock. After a wanted change: `pytest tests/app/test_snapshots.py --snapshot-update`, then look at
every changed picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from app.screens import store as store_screen
from app.screens import support as support_screen
from app.state.prepare import machine_state as surroundings
from app.state.prepare.machine_state import MachineState
from app.widgets.prepare import checkpoint_picker
from engines.plan.checkpoint.checkpoint import read_checkpoint
from tests.app import still
from tests.app.still import StillPlayground
from tests.app.widgets.samples import EMPTY, FULL, GPUS

SnapCompare = Callable[..., bool]
DARK, LIGHT = "playground-dark", "playground-light"
SMALL, MIDDLE, LARGE, WHOLE = (80, 24), (120, 36), (160, 48), (200, 60)

PREPARED = [(SMALL, DARK), (MIDDLE, DARK), (MIDDLE, LIGHT), (LARGE, LIGHT), (WHOLE, DARK), (WHOLE, LIGHT)]


@pytest.fixture(autouse=True)
def same_everywhere(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The demo is the tiny checkpoint, no file of the store is looked at, and it is UTC."""
    checkpoint = read_checkpoint(tiny)
    monkeypatch.setattr(checkpoint_picker, "_read", lambda _: (checkpoint, ""))
    monkeypatch.setattr(store_screen, "damage", lambda _: "")
    monkeypatch.setattr(surroundings, "probe_machine", lambda device, _: MachineState(device, 40e9))
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def look(snap_compare: Any, size: tuple[int, int], before: still.Before, app: StillPlayground) -> None:
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_chat_empty(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Engines are ready: the notice invites to ask, the panels show what they hold."""
    look(snap_compare, size, still.chat_empty, StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(
    ("size", "theme"), [(SMALL, DARK), (SMALL, LIGHT), (MIDDLE, DARK), (LARGE, DARK), (LARGE, LIGHT)]
)
def test_chat_answered(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The folded turn looks like the live one; figures, verdict and all panels stand in their places."""
    look(snap_compare, size, still.chat_answered, StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(("size", "theme"), [(MIDDLE, LIGHT), (WHOLE, DARK), (WHOLE, LIGHT)])
def test_chat_on_gpus(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Two engines on one GPU that is slowed, and another GPU: every panel has its say."""
    look(snap_compare, size, still.chat_answered, StillPlayground(theme, chosen=True, snapshot=GPUS))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, DARK), (LARGE, LIGHT)])
def test_chat_failed(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """A dead worker: its card with the buttons, what was said so far, and the other side unharmed."""
    look(snap_compare, size, still.chat_failed, StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(("size", "theme"), PREPARED)
def test_prepare_fresh(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The first screen of a newcomer: checkpoint, precisions and the button are all in sight."""
    look(snap_compare, size, still.settle, StillPlayground(theme, chosen=False))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_prepare_building(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Stages, bar and log; in a small terminal they take the place of the choice."""
    look(snap_compare, size, still.building, StillPlayground(theme, chosen=False))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, LIGHT), (MIDDLE, DARK)])
def test_prepare_failed(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The reason stands above the choice, so that it is seen at every size."""
    look(snap_compare, size, still.build_failed, StillPlayground(theme, chosen=False))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_what_runs_here(
    snap_compare: SnapCompare, size: tuple[int, int], theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every precision with every backend, and why below the table."""
    monkeypatch.setattr(support_screen, "devices", lambda: [still.DEVICE])

    async def before(pilot: Pilot[None]) -> None:
        await still.settle(pilot)
        await pilot.press("f12")
        await pilot.pause(0.2)

    look(snap_compare, size, before, StillPlayground(theme, chosen=False))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_help(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Every key on the first page, at every size."""
    look(snap_compare, size, still.by_key("f1"), StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, LIGHT), (MIDDLE, DARK), (LARGE, LIGHT)])
def test_chat_marked(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """A marked turn with two versions and a thought: what can be done with it stands below it."""
    look(snap_compare, size, still.chat_marked, StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_store(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Two engines: what they are, how large, how long they took."""
    app = StillPlayground(theme, chosen=True, snapshot=FULL)
    engines = still.stored("int8", 142 << 20, 21.4), still.stored("int4", 88 << 20, 34.0)
    app.store = still.still_store(*engines)
    look(snap_compare, size, still.by_key("f8"), app)


def test_store_empty(snap_compare: SnapCompare) -> None:
    """Nothing built yet: it says where engines will be kept."""
    app = StillPlayground(DARK, chosen=True, snapshot=EMPTY)
    app.store = still.still_store()
    look(snap_compare, SMALL, still.by_key("f8"), app)
