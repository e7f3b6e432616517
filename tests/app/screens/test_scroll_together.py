"""Scrolling one side scrolls the other one to the same place of the same turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.state.settings.settings import load_settings
from app.state.side.phase import Phase
from app.widgets.chat.pane import TURNS_SHOWN, Pane
from app.widgets.chat.transcript.transcript import Transcript
from tests.app.driving import until_screen, wait_until
from tests.app.still import StillPlayground, set_phase, turn


async def long_chat(pilot: Pilot[None], count: int = 8, *, together: bool = True) -> None:
    """Show turns of which the right side's answers are three times as long."""
    app = pilot.app
    assert isinstance(app, Playground)
    screen = await until_screen(pilot, ChatScreen)
    app.change_settings(scroll_together=together)
    for side in app.sides:
        set_phase(side, Phase.READY)
        for number in range(count):
            one = turn(side.name, f"Question {number}?")
            answer = one.answer * (1 if side.name == "left" else 3)
            side.conversation.add(replace(one, answer=answer))
    screen.show_conversations()
    await pilot.pause()


def transcript(pilot: Pilot[None], side: str) -> Transcript:
    return pilot.app.screen.query_one(f"#pane-{side}", Pane).transcript


def place(pilot: Pilot[None], side: str) -> tuple[str, float]:
    """Return the question of the turn at the top of a side, and the share of it that is above."""
    found = transcript(pilot, side).place
    assert found
    return found.turn.prompt, found.share


async def scroll(pilot: Pilot[None], side: str, y: int) -> None:
    """Scroll as the user does, and wait until both sides have arrived."""
    shown = transcript(pilot, side)
    shown.scroll_to(y=y, animate=False)
    await wait_until(pilot, lambda: shown.scroll_offset.y == y)
    await pilot.pause()


def still() -> StillPlayground:
    return StillPlayground("playground-dark", chosen=True)


@pytest.mark.parametrize(("leader", "follower"), [("left", "right"), ("right", "left")])
async def test_the_other_side_shows_the_same_place(leader: str, follower: str) -> None:
    async with still().run_test(size=(120, 48)) as pilot:
        await long_chat(pilot)
        height = transcript(pilot, leader).max_scroll_y
        for y in (height // 2, height // 3, 7, 0, height // 4):
            await scroll(pilot, leader, y)
            (question, share), (same, other_share) = place(pilot, leader), place(pilot, follower)
            assert question == same
            lines = transcript(pilot, follower).virtual_size.height / 8
            assert other_share == pytest.approx(share, abs=1 / lines)
            assert transcript(pilot, leader).scroll_offset.y == y, "it is not led back"
        await scroll(pilot, leader, height)
        assert transcript(pilot, follower).follows
        assert transcript(pilot, follower).scroll_offset.y == transcript(pilot, follower).max_scroll_y


async def test_keys_and_the_wheel_scroll_both() -> None:
    async with still().run_test(size=(120, 48)) as pilot:
        await long_chat(pilot)
        transcript(pilot, "left").focus()
        await pilot.press("home")
        await wait_until(pilot, lambda: place(pilot, "left") == ("Question 0?", 0.0))
        await wait_until(pilot, lambda: place(pilot, "right") == ("Question 0?", 0.0))
        await pilot.press("pagedown")
        await wait_until(pilot, lambda: place(pilot, "left")[0] == place(pilot, "right")[0] != "Question 0?")


async def test_each_side_scrolls_on_its_own_by_default_and_s_switches() -> None:
    app = still()
    assert not app.settings.scroll_together
    async with app.run_test(size=(120, 48), notifications=True) as pilot:
        await long_chat(pilot, together=False)
        await scroll(pilot, "left", 5)
        assert transcript(pilot, "right").follows
        transcript(pilot, "left").focus()
        await pilot.press("s")
        await wait_until(pilot, lambda: place(pilot, "right")[0] == "Question 0?")
        assert app.settings.scroll_together
        await pilot.press("s")
        assert not app.settings.scroll_together
        await app.run_action("screen.lock_scroll", app.screen)
        assert app.settings.scroll_together


async def test_older_turns_are_added_where_the_leader_shows_them() -> None:
    async with still().run_test(size=(120, 48)) as pilot:
        await long_chat(pilot, TURNS_SHOWN + 12)
        for _ in range(2):  # at the top older turns are added
            await scroll(pilot, "left", 3)
            await scroll(pilot, "left", 0)
            await pilot.pause()
        await scroll(pilot, "left", 1)
        assert place(pilot, "right")[0] == place(pilot, "left")[0]


async def test_a_turn_of_one_side_only_leads_nowhere() -> None:
    async with still().run_test(size=(120, 48)) as pilot:
        app = pilot.app
        assert isinstance(app, Playground)
        await long_chat(pilot)
        app.right.conversation.clear()
        app.right.conversation.add(turn("right", "Another question?"))
        assert isinstance(app.screen, ChatScreen)
        app.screen.show_conversations()
        await pilot.pause()
        await scroll(pilot, "left", 4)
        assert place(pilot, "left")[0] == "Question 0?"


async def test_growing_text_scrolls_only_its_own_side() -> None:
    """A side that follows its answer leaves the other one where the user reads."""
    async with still().run_test(size=(120, 48)) as pilot:
        app = pilot.app
        assert isinstance(app, Playground)
        await long_chat(pilot)
        await scroll(pilot, "right", 9)
        left = transcript(pilot, "left")
        left.lead_to(None)
        live = left.turns[-1]
        for _ in range(4):
            live.turn.answer += "\n\nMore text."
            left.grow()
            await pilot.pause()
        assert left.follows
        assert transcript(pilot, "right").scroll_offset.y == 9


async def test_the_setting_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    app = Playground(still().settings, file)
    async with app.run_test(size=(120, 36)):
        app.change_settings(scroll_together=True)
    assert load_settings(file).scroll_together
