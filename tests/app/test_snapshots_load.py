"""Snapshots of the Load screen, by size and theme; see `test_snapshots.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from app.screens.load import LoadScreen
from app.state.side.load_job import LoadJob
from engines.measure.load import LoadRecord
from engines.worker.protocol import InFlight, KVUsage, RequestState
from tests.app import still
from tests.app.driving import until_screen
from tests.app.still import StillPlayground

pytestmark = pytest.mark.usefixtures("two_backends")
DARK, LIGHT = "playground-dark", "playground-light"
SMALL, MIDDLE = (80, 24), (120, 36)
STEP = 7_000_000
"""Nanoseconds of a step."""


def record() -> LoadRecord:
    """Return sixteen users in the middle of their answers: one waits, one has ended its first answer."""
    found = LoadRecord(16)
    states = [
        RequestState(user, user, 20 + user, 0, tuple(STEP * (1 + step) for step in range(13 * user + 3)))
        for user in range(14)
    ]
    ended = RequestState(14, 14, 30, 0, (STEP, 2 * STEP, 3 * STEP), "stop")
    waiting = RequestState(15, 15, 40, 0)
    later = RequestState(16, 14, 25, 4 * STEP, (5 * STEP,))
    kv = KVUsage(block_tokens=32, used_blocks=66, free_blocks=110, total_blocks=176)
    found.take(InFlight(1, 0, (*states, ended, waiting, later), 15, 1, kv), 0)
    return found


class StillJob(LoadJob):
    """Sixteen users in the middle of their answers, and never further; the live rate is fixed."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.record, self.engine_title = 16, record(), "OpenVINO int8"
        self.record.rate = lambda now_ns: 1033.0  # type: ignore[method-assign]
        self.stage = "users"

    @property
    def is_running(self) -> bool:
        """Always."""
        return True


def opened(job: LoadJob | None) -> still.Before:
    async def before(pilot: Pilot[None]) -> None:
        await still.chat_empty(pilot)
        await pilot.press("alt+l")
        screen = await until_screen(pilot, LoadScreen)
        if job:
            screen.job = job
        screen.draw()
        await still.settle(pilot)
        screen.draw()
        await pilot.pause()

    return before


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT)])
def test_load_running(snap_compare: Callable[..., Any], size: tuple[int, int], theme: str) -> None:
    """Figures, the map by user, and a line for each user."""
    app = StillPlayground(theme, chosen=True)
    assert snap_compare(app, terminal_size=size, run_before=opened(StillJob()))


def test_load_empty(snap_compare: Callable[..., Any]) -> None:
    """Nothing has been measured: the screen says what to do."""
    app = StillPlayground(DARK, chosen=True)
    assert snap_compare(app, terminal_size=SMALL, run_before=opened(None))
