"""Helpers for tests of Prepare."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import Static

from app.screens.models import ModelsScreen
from app.widgets.models.model_picker import ModelPicker
from tests.app.driving import wait_until


def estimate(pilot: Pilot[None], name: str = "left") -> str:
    """Return the estimate card of one side."""
    return str(pilot.app.screen.query_one(f"#engine-{name} .estimate", Static).content)


async def open_prepare(pilot: Pilot[None]) -> ModelsScreen:
    """Wait for the screen until the checkpoint is read and the estimate is shown."""
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
    screen = pilot.app.screen
    assert isinstance(screen, ModelsScreen)
    await wait_until(pilot, lambda: screen.query_one(ModelPicker).checkpoint is not None)
    await wait_until(pilot, lambda: "total" in estimate(pilot))
    return screen
