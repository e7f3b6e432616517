"""The mouse as an alternative to keys: the footer, and saving a preset."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Button

from app.screens.chat import ChatScreen
from app.screens.name import NameScreen
from app.screens.sampling import SamplingScreen
from tests.app.driving import is_composed, until_screen, wait_until
from tests.app.still import StillPlayground, chat_answered
from tests.app.test_keys import RecordingPlayground


@pytest.mark.parametrize("opener", ["", "f2", "f3", "f4", "f6", "f8"])
async def test_every_key_of_the_footer_can_be_clicked(opener: str) -> None:
    """A click runs the action of the key."""
    app = RecordingPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(200, 50)) as pilot:
        await chat_answered(pilot)
        if opener:
            await pilot.press(opener)
            await wait_until(pilot, lambda: not isinstance(app.screen, ChatScreen))
            await wait_until(pilot, lambda: is_composed(app.screen))
        await wait_until(pilot, lambda: bool(app.screen.query("FooterKey")))
        for number in range(len(app.screen.query("FooterKey"))):
            key: Any = app.screen.query("FooterKey")[number]  # made again when the keys may have changed
            app.recorded, app.is_recording = [], True
            assert await pilot.click(key)
            await pilot.pause()
            app.is_recording = False
            wanted = key.action.partition("(")[0].rpartition(".")[2]
            assert wanted in app.recorded, f"a click on {key.description}: {app.recorded or 'no action'}"


async def test_a_preset_is_saved_with_the_mouse() -> None:
    """The button asks for a name, as Ctrl+O does."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await chat_answered(pilot)
        await pilot.press("f4")
        screen = await until_screen(pilot, SamplingScreen)
        assert await pilot.click(screen.query(".save").first(Button))
        await wait_until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, SamplingScreen))
