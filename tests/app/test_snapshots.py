"""Snapshots of the screens, by size and theme.

The app is the real one with fixed device, telemetry and conversations, without engines and clock
(`tests/app/still.py`). After an intended change run `pytest tests/app/test_snapshots.py --snapshot-update`
and check every changed picture.
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
from app.state.models import catalogue
from app.state.models.named_model import NamedModel
from app.state.prepare import machine_state
from app.state.prepare.machine_state import MachineState
from app.widgets.models import model_picker
from engines.plan.checkpoint.checkpoint import read_checkpoint
from tests.app import still
from tests.app.driving import until_screen
from tests.app.still import StillPlayground
from tests.app.widgets.samples import EMPTY, FULL, GPUS

SnapCompare = Callable[..., bool]
DARK, LIGHT = "playground-dark", "playground-light"
SMALL, MIDDLE, LARGE, WHOLE = (80, 24), (120, 36), (160, 48), (200, 60)

PREPARED = [(SMALL, DARK), (MIDDLE, DARK), (MIDDLE, LIGHT), (LARGE, LIGHT), (WHOLE, DARK), (WHOLE, LIGHT)]


@pytest.fixture(autouse=True)
def same_everywhere(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use the tiny checkpoint as the demo, skip checks of store files, and set UTC."""
    checkpoint = read_checkpoint(tiny)
    monkeypatch.setattr(model_picker, "named_model", lambda name: NamedModel(name, checkpoint))
    monkeypatch.setattr(catalogue, "local_and_suggested", lambda _: still.MODELS)
    monkeypatch.setattr(store_screen, "damage", lambda _: "")
    monkeypatch.setattr(machine_state, "probe_machine", lambda device, _: MachineState(device, 40e9))
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def compare(snap_compare: Any, size: tuple[int, int], before: still.Before, app: StillPlayground) -> None:
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_chat_empty(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Both engines are ready and there are no turns: the notices and panels are filled."""
    compare(snap_compare, size, still.chat_empty, StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(
    ("size", "theme"), [(SMALL, DARK), (SMALL, LIGHT), (MIDDLE, DARK), (LARGE, DARK), (LARGE, LIGHT)]
)
def test_chat_answered(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Turns with their figures, the speed comparison and all panels."""
    compare(snap_compare, size, still.chat_answered, StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(("size", "theme"), [(MIDDLE, LIGHT), (WHOLE, DARK), (WHOLE, LIGHT)])
def test_chat_on_gpus(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Two engines on one throttled GPU, and a second GPU."""
    compare(snap_compare, size, still.chat_answered, StillPlayground(theme, chosen=True, snapshot=GPUS))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, DARK), (LARGE, LIGHT)])
def test_chat_failed(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """A dead worker: the failure card with buttons, the partial answer, and the other side intact."""
    compare(
        snap_compare, size, still.chat_failed, StillPlayground(theme, chosen=True, snapshot=still.ONE_FAILED)
    )


@pytest.mark.parametrize(("size", "theme"), PREPARED)
def test_prepare_fresh(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The first screen of a new user: checkpoint, precisions and the button are all visible."""
    compare(snap_compare, size, still.settle, StillPlayground(theme, chosen=False))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_prepare_building(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Stages, bar and log; in a small terminal they replace the choices."""
    compare(snap_compare, size, still.building, StillPlayground(theme, chosen=False))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, LIGHT), (MIDDLE, DARK)])
def test_prepare_failed(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The reason is above the choices, so that it is visible at every size."""
    compare(snap_compare, size, still.build_failed, StillPlayground(theme, chosen=False))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_backend_support(
    snap_compare: SnapCompare, size: tuple[int, int], theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every precision with every backend, and the explanation below the table."""
    monkeypatch.setattr(support_screen, "devices", lambda: [still.DEVICE])

    async def before(pilot: Pilot[None]) -> None:
        await still.settle(pilot)
        await pilot.press("f12")
        await until_screen(pilot, support_screen.SupportScreen)

    compare(snap_compare, size, before, StillPlayground(theme, chosen=False))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_help(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The help over the answered chat."""
    compare(snap_compare, size, still.by_key("f1"), StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, LIGHT), (MIDDLE, DARK), (LARGE, LIGHT)])
def test_chat_marked(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """A selected turn with two versions and reasoning: its keys are listed below it."""
    compare(snap_compare, size, still.chat_marked, StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_chat_shaded(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Tokens with the sign of their shade, and the alternatives of the marked one."""
    compare(snap_compare, size, still.chat_shaded, StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_store(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Two engines with their sizes and build times."""
    app = StillPlayground(theme, chosen=True, snapshot=FULL)
    engines = still.stored("int8", 142 << 20, 21.4), still.stored("int4", 88 << 20, 34.0)
    app.store = still.still_store(*engines)
    compare(snap_compare, size, still.by_key("f8"), app)


def test_store_empty(snap_compare: SnapCompare) -> None:
    """An empty store: the note says where engines will be stored."""
    app = StillPlayground(DARK, chosen=True, snapshot=EMPTY)
    app.store = still.still_store()
    compare(snap_compare, SMALL, still.by_key("f8"), app)


@pytest.mark.parametrize(
    ("size", "theme"),
    [(SMALL, DARK), (SMALL, LIGHT), (MIDDLE, DARK), (LARGE, DARK), (LARGE, LIGHT), (WHOLE, LIGHT)],
)
def test_compare(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The reference's answer as int4 reads it, with the cursor at its first other token."""
    compare(snap_compare, size, still.compared, StillPlayground(theme, chosen=True, snapshot=FULL))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (WHOLE, DARK)])
def test_compare_own_answers(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """What each engine wrote on its own, and a branch."""
    compare(snap_compare, size, still.compared_own, StillPlayground(theme, chosen=True, snapshot=FULL))
