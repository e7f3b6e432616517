"""Prepare as tests need it: opened, and looked through."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import Static

from app.screens.prepare import PrepareScreen
from app.widgets.prepare.checkpoint_picker import CheckpointPicker
from tests.app.driving import wait_until


def estimate(pilot: Pilot[None], name: str = "left") -> str:
    """What is said of one side's choice."""
    return str(pilot.app.screen.query_one(f"#engine-{name} .estimate", Static).content)


async def open_prepare(pilot: Pilot[None]) -> PrepareScreen:
    """Wait for the screen, until the checkpoint has been read and both lists follow from it."""
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, PrepareScreen))
    screen = pilot.app.screen
    assert isinstance(screen, PrepareScreen)
    await wait_until(pilot, lambda: screen.query_one(CheckpointPicker).checkpoint is not None)
    await wait_until(pilot, lambda: "total" in estimate(pilot))
    return screen
