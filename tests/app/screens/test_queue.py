"""Prompts that are sent while a side answers wait for the end of both answers."""

from __future__ import annotations

import asyncio
import os
import signal

from msgspec.structs import replace
from textual.pilot import Pilot

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.state.settings.settings import DEMO, EngineChoice, Settings
from app.state.side.phase import Phase
from app.widgets.chat.composer import Composer
from app.widgets.chat.queued_prompts import QueuedPrompts
from engines.worker.protocol import Sampling
from tests.app.driving import (
    PATIENCE,
    go_on,
    hold_left,
    playground,
    sampled,
    toasts,
    until_answered,
    until_finished,
    until_ready,
    until_screen,
    wait_until,
)

PYTORCH = EngineChoice("pytorch", "fp32")
LONG = 400
"""Tokens of an answer that is held after its first ones: more than arrive before the engine is stopped."""


def slow(settings: Settings, tokens: int = 200) -> Settings:
    """Return settings with which an answer lasts longer than a few keys: the tests' own model is too fast."""
    context = max(settings.context, tokens + 100)
    chosen = replace(settings, left=PYTORCH, checkpoint=DEMO, context=context)
    return sampled(chosen, Sampling(max_tokens=tokens, ignore_eos=True))


def composer(pilot: Pilot[None]) -> Composer:
    return pilot.app.screen.query_one(Composer)


def line(pilot: Pilot[None]) -> str:
    """Return the line of queued prompts; empty if there is none."""
    shown = pilot.app.screen.query_one(QueuedPrompts)
    return str(shown.render()) if shown.display else ""


async def send(pilot: Pilot[None], *prompts: str) -> None:
    for prompt in prompts:
        composer(pilot).box.load_text(prompt)
        await pilot.press("enter")
        await wait_until(pilot, lambda: not composer(pilot).box.text)


async def answering(pilot: Pilot[None], app: Playground) -> None:
    """Ask something and hold the left engine after its first token: `go_on` lets it continue.

    However busy the machine is, the answer does not end before the keys of the test.
    """
    await until_ready(pilot)
    await until_screen(pilot, ChatScreen)
    await until_finished(pilot, "prompt")
    held = asyncio.create_task(hold_left(app))
    await send(pilot, "one")
    await asyncio.wait_for(held, PATIENCE)


def prompts(app: Playground) -> list[list[str]]:
    return [[turn.prompt for turn in side.conversation.turns] for side in app.sides]


async def test_queued_prompts_are_sent_one_after_the_other(settings: Settings) -> None:
    app = playground(slow(settings, LONG))
    async with app.run_test(size=(80, 24)) as pilot:
        await answering(pilot, app)
        await send(pilot, "two")
        assert line(pilot) == "queued: two · Esc takes it back"
        await send(pilot, "three and a lot of words " * 9)
        assert line(pilot).startswith("2 queued: two · three and")
        assert line(pilot).endswith("… · Esc takes them back")
        assert len(line(pilot)) <= 76
        app.change_settings(left_chat=settings.left_chat, right_chat=settings.right_chat)  # short answers
        go_on(app)
        await until_answered(pilot)
        assert [[one.split()[0] for one in side] for side in prompts(app)] == [["one", "two", "three"]] * 2
        assert all(turn.answer for side in app.sides for turn in side.conversation.turns)
        assert not line(pilot)
        await pilot.press("up")
        assert composer(pilot).box.text.startswith("three")
        assert composer(pilot).box.earlier.walk(-1, "") == "two"


async def test_escape_stops_the_answers_and_puts_queued_prompts_back(settings: Settings) -> None:
    app = playground(slow(settings, LONG))
    async with app.run_test(size=(80, 24)) as pilot:
        await answering(pilot, app)
        await send(pilot, "two", "three")
        composer(pilot).box.load_text("four")
        await pilot.press("escape")
        go_on(app)
        await until_answered(pilot)
        assert composer(pilot).box.text == "two\n\nthree\n\nfour"
        assert not line(pilot)
        assert prompts(app) == [["one"]] * 2
        assert app.left.conversation.turns[0].reason in ("stopped", "length")


async def test_up_in_an_empty_prompt_takes_the_last_one_back(settings: Settings) -> None:
    app = playground(slow(settings, LONG))
    async with app.run_test(size=(80, 24)) as pilot:
        await answering(pilot, app)
        await send(pilot, "two", "three")
        await pilot.press("up")
        await wait_until(pilot, lambda: composer(pilot).box.text == "three")
        assert line(pilot) == "queued: two · Esc takes it back"
        assert app.left.phase is Phase.DECODE, "it still answers"
        await pilot.press("escape")
        go_on(app)
        await until_answered(pilot)


async def test_a_failed_side_puts_queued_prompts_back(settings: Settings) -> None:
    app = playground(slow(settings, LONG))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await answering(pilot, app)
        await send(pilot, "two")
        assert app.left.pid
        os.kill(app.left.pid, signal.SIGKILL)
        await wait_until(pilot, lambda: composer(pilot).box.text == "two")
        assert "back in the prompt" in toasts(app)
        assert prompts(app) == [["one"]] * 2
        await send(pilot, "two")  # the user continues with one side
        await until_finished(pilot, "answer")
        assert prompts(app) == [["one", "two"]] * 2
        assert app.right.conversation.turns[-1].answer


async def test_queued_prompts_survive_the_end_of_the_app(settings: Settings) -> None:
    app = playground(slow(settings, LONG))
    async with app.run_test(size=(80, 24)) as pilot:
        await answering(pilot, app)
        await send(pilot, "two", "three")
        composer(pilot).box.load_text("four")
        await pilot.pause()
        go_on(app)
    again = playground(replace(settings, chosen=False))
    async with again.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("escape")
        await until_screen(pilot, ChatScreen)
        await wait_until(pilot, lambda: composer(pilot).box.text == "two\n\nthree\n\nfour")
