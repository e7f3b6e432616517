"""Conversations on the screen while another app has one of them open."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.screens.chat import ChatScreen
from app.screens.name import NameScreen
from app.state.conversation.conversation import Turn
from app.state.conversation.record import read_record
from app.state.settings.settings import Settings
from tests.app.driving import toasts, wait_until
from tests.app.screens.test_conversations import opened, saved, see
from tests.app.screens.test_settings import AppWithoutEngines
from tests.app.state.processes import running
from tests.app.state.test_several_apps import hold_conversation

__all__ = ["saved"]  # a fixture


async def test_the_second_app_works_on_a_copy(saved: list[Path]) -> None:
    [first, second] = saved
    before = second.read_bytes()
    with running(hold_conversation, second):
        async with opened() as (app, pilot):
            await see(pilot, "", "")
            await pilot.press("down", "enter")
            await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
            words = "This conversation is open in another window. You are working on a copy."
            assert words in toasts(app)
            assert app.history.path is None
            app.left.conversation.add(Turn("one more"))
            app.history.append_turn("left", app.left.conversation)
            assert app.history.path not in (None, first, second)
            copy = app.history.path
    assert copy
    assert second.read_bytes() == before
    prompts = [turn.prompt for turn in read_record(copy).sides["left"].turns]
    assert prompts == [read_record(second).sides["left"].turns[0].prompt, "one more"]


@pytest.mark.parametrize("key", ["delete", "r"])
async def test_a_conversation_of_another_app_is_not_changed(saved: list[Path], key: str) -> None:
    before = saved[1].read_bytes()
    with running(hold_conversation, saved[1]):
        async with opened() as (app, pilot):
            await see(pilot, "", "")
            await pilot.press("down", key)
            if key == "r":
                await wait_until(pilot, lambda: isinstance(app.screen, NameScreen))
                await pilot.press("x", "enter")
            else:
                await pilot.press(key)
            await wait_until(pilot, lambda: "it is open in another window" in toasts(app))
    assert saved[1].read_bytes() == before


async def test_the_second_app_continues_the_newest_conversation_as_a_copy(saved: list[Path]) -> None:
    """As `--continue` does."""
    with running(hold_conversation, saved[0]):
        app = AppWithoutEngines(Settings(chosen=True), None, saved[0])
        async with app.run_test(notifications=True) as pilot:
            await wait_until(pilot, lambda: "You are working on a copy." in toasts(app))
            assert (app.history.is_copy, app.history.path) == (True, None)
            assert len(app.left.conversation.turns) == 1
