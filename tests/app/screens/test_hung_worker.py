"""A worker that does not respond is reported on its side; F9 ends it and starts it again."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.screens.chat import ChatScreen
from app.state.settings.settings import EngineChoice, Settings, TimingMode
from app.state.side import side as side_module
from app.state.side.phase import Phase
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from engines.worker.protocol import Sampling
from tests.app.driving import ask, failure, playground, sampled, until_ready, until_screen, wait_until
from tests.engines.worker.helpers import suspend

LONG = Sampling(max_tokens=1_800, ignore_eos=True)


def border(pilot: Pilot[None], side: str) -> str:
    return str(pilot.app.screen.query_one(f"#pane-{side}", Pane).border_subtitle)


@pytest.mark.parametrize("timing", list(TimingMode))
async def test_a_suspended_worker_is_ended_with_f9(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, timing: TimingMode
) -> None:
    """The partial answer is kept, only that worker is killed, and the next prompt is answered by both."""
    monkeypatch.setattr(side_module, "UNRESPONSIVE_SECONDS", 0.5)
    settings = replace(settings, left=EngineChoice("pytorch", "fp32"), timing=timing, context=1_900)
    app = playground(sampled(settings, LONG))
    async with app.run_test(size=(100, 36)) as pilot:
        await until_ready(pilot)
        await until_screen(pilot, ChatScreen)
        right = app.right.pid
        await pilot.press(*"Hello", "enter")
        await wait_until(pilot, lambda: any(one.token_ids for one in app.left.conversation.turns))
        pid = app.left.pid
        assert pid
        await suspend(pid)
        try:
            await pilot.press("escape")
            await wait_until(pilot, lambda: "not responding · F9 ends it" in border(pilot, "left"))
            assert "not responding" not in border(pilot, "right"), "it waits for the left one, or has ended"
            await pilot.press(*"More", "enter")
            await pilot.press("f9")
            await wait_until(pilot, lambda: not psutil.pid_exists(pid))
        finally:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
        await until_ready(pilot)
        turn = app.left.conversation.turns[0]
        assert turn.answer
        assert turn.error
        assert "did not respond" in turn.error.message
        assert not failure(app, "left")
        assert app.right.pid == right
        assert app.left.pid != pid
        assert app.screen.query_one(PromptInput).text == "More", "the queued prompt is back"
        app.change_settings(left_chat=replace(app.settings.left_chat, sampling=Sampling(max_tokens=4)))
        app.change_settings(right_chat=app.settings.left_chat)
        await ask(pilot, "More")
        assert all(side.conversation.turns[-1].answer for side in app.sides)


async def test_f9_does_nothing_before(settings: Settings) -> None:
    app = playground(sampled(replace(settings, left=EngineChoice("pytorch", "fp32")), LONG))
    async with app.run_test(size=(100, 36)) as pilot:
        await until_ready(pilot)
        pid = app.left.pid
        await pilot.press(*"Hello", "enter")
        await wait_until(pilot, lambda: app.left.phase is Phase.DECODE)
        await pilot.press("f9", "escape", "f9")
        await until_ready(pilot)
        assert app.left.pid == pid
