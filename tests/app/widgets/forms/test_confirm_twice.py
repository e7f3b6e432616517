"""Press again to confirm: armed for one target, until something else is selected or the toast is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.app import App
from textual.pilot import Pilot

from app.widgets.forms.confirm_twice import ConfirmTwice
from tests.app.driving import wait_until


class Bare(App[None]):
    """Nothing but a confirmation."""

    NOTIFICATION_TIMEOUT = 60.0
    resets = 0

    def on_mount(self) -> None:
        """Create it with a counter of expirations."""
        self.confirmation = ConfirmTwice(self, self.count)

    def count(self) -> None:
        """Count one."""
        self.resets += 1


@asynccontextmanager
async def started() -> AsyncIterator[tuple[Bare, Pilot[None]]]:
    """The app and its confirmation."""
    app = Bare()
    async with app.run_test() as pilot:
        yield app, pilot


async def test_the_second_press_confirms_once() -> None:
    async with started() as (app, _):
        assert [app.confirmation.press("a") for _ in range(4)] == [False, True, False, True]
        assert app.resets == 0


async def test_another_target_has_to_be_asked_for_too() -> None:
    async with started() as (app, _):
        assert [app.confirmation.press(target) for target in "abab"] == [False] * 4


async def test_a_moved_selection_resets_and_the_same_one_does_not() -> None:
    async with started() as (app, _):
        app.confirmation.press("a")
        app.confirmation.select("a")
        assert app.confirmation.is_armed("a")
        app.confirmation.select(None)
        assert not app.confirmation.is_armed("a")
        assert not app.confirmation.is_armed(None)


async def test_it_expires_with_the_toast() -> None:
    async with started() as (app, pilot):
        app.NOTIFICATION_TIMEOUT = 0.2  # type: ignore[misc]
        app.confirmation.press("a")
        await wait_until(pilot, lambda: app.resets == 1)
        assert not app.confirmation.press("a")
