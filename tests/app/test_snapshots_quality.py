"""Snapshots of the Quality screen, by size and theme; see `test_snapshots.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from app.screens.quality import QualityScreen
from app.state.comparison.quality_job import QualityJob
from app.widgets.quality.quality_plot import QualityPlot
from app.widgets.quality.quality_table import QualityTable
from engines.compare.comparison import Comparison
from engines.compare.run import Progress
from tests.app import still
from tests.app.driving import wait_until
from tests.app.measured import COMPARISON, keep
from tests.app.still import StillPlayground

pytestmark = pytest.mark.usefixtures("two_backends")
SnapCompare = Callable[..., bool]
DARK, LIGHT = "playground-dark", "playground-light"
SMALL, MIDDLE, LARGE, WHOLE = (80, 24), (120, 36), (160, 48), (200, 60)
SIZES = [(size, theme) for size in (SMALL, MIDDLE, LARGE, WHOLE) for theme in (DARK, LIGHT)]


class StillJob(QualityJob):
    """A job that never ends, with a fixed time left."""

    @property
    def is_running(self) -> bool:
        """Always."""
        return True

    @property
    def seconds_left(self) -> float:
        """The fixed time."""
        return 41.0


def opened(comparison: Comparison | None, row: int) -> still.Before:
    """Return a function that opens the screen with the cursor on a row."""

    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, StillPlayground)
        if comparison:
            await keep(app, comparison)
        await still.chat_empty(pilot)
        await pilot.press("f10")
        await wait_until(pilot, lambda: isinstance(app.screen, QualityScreen))
        table, plot = app.screen.query_one(QualityTable), app.screen.query_one(QualityPlot)
        await wait_until(pilot, lambda: table.row_count > 0 and plot._plot is not None)
        table.move_cursor(row=row)
        await still.settle(pilot)
        plot.redraw()
        await pilot.pause()

    return before


def compare(snap_compare: Any, size: tuple[int, int], before: still.Before, app: StillPlayground) -> None:
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize(("size", "theme"), SIZES)
def test_quality(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Measured engines, one that failed, and the card of int4."""
    compare(snap_compare, size, opened(COMPARISON, 5), StillPlayground(theme, chosen=True))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, LIGHT), (MIDDLE, DARK), (LARGE, LIGHT)])
def test_quality_empty(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Nothing is measured: the screen says what to do."""
    compare(snap_compare, size, opened(None, 0), StillPlayground(theme, chosen=True))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_quality_running(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """An engine is being measured, with the time left."""
    app = StillPlayground(theme, chosen=True)
    app.quality = StillJob(app.quality._start_worker)
    app.quality.progress = Progress("OpenVINO fp32", "scoring code", 3120, 8220)
    compare(snap_compare, size, opened(COMPARISON, 2), app)
