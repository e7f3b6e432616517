"""Snapshots of Sampling and Settings, by size and theme; see `test_snapshots.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input

from app.screens.sampling import SamplingScreen
from app.state.settings.settings import ChatOptions
from engines.worker.protocol import Sampling
from tests.app import still
from tests.app.still import StillPlayground

SnapCompare = Callable[..., bool]
DARK, LIGHT = "playground-dark", "playground-light"
SMALL, MIDDLE, LARGE = (80, 24), (120, 36), (160, 48)
PIRATE = ChatOptions("Answer as a pirate would.", Sampling(temperature=0.8, stop=("User:",)))


def compare(snap_compare: Any, size: tuple[int, int], app: StillPlayground, before: still.Before) -> None:
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize(("size", "theme"), [(SMALL, LIGHT), (MIDDLE, DARK), (LARGE, LIGHT)])
def test_sampling(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The left side has an invalid number, the right side a saved preset."""
    app = StillPlayground(theme, chosen=True)
    app.settings = replace(app.settings, right_chat=PIRATE, presets={"Pirate": PIRATE})

    async def before(pilot: Pilot[None]) -> None:
        await still.by_key("f4")(pilot)
        assert isinstance(app.screen, SamplingScreen)
        entry = app.screen.form("left").query_one(".top_p", Input)
        entry.focus()
        entry.value = "7"
        await still.settle(pilot)

    compare(snap_compare, size, app, before)


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_settings(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The current theme is highlighted; every row has an explanation."""
    compare(snap_compare, size, StillPlayground(theme, chosen=True), still.by_key("f6"))
