"""Answers in the chat, shaded by the probability that their own engine gives each token."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.state.settings.settings import EngineChoice, Settings
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.transcript.rendered_turn import RenderedTurn
from app.widgets.chat.transcript.transcript import Transcript
from app.widgets.tokens.token_text import PROBABILITY_LEGEND as LEGEND
from engines.worker.protocol import Sampling
from tests.app.driving import (
    ask,
    playground,
    sampled,
    toasts,
    until_answered,
    until_finished,
    until_ready,
    wait_until,
)
from tests.app.screens.test_chat import shown_text


def last(app: Playground, side: str) -> RenderedTurn:
    """Return the last turn as a pane shows it."""
    chat = next(screen for screen in app.screen_stack if isinstance(screen, ChatScreen))
    return chat.query_one(f"#pane-{side}", Pane).transcript.turns[-1]


async def press_v(pilot: Pilot[None]) -> None:
    """Press V on the left side's last turn, and wait until both answers are scored."""
    await pilot.click("#turns-left")
    await pilot.press("v")
    await until_finished(pilot, "shade")


async def test_both_answers_are_shaded_until_the_key_is_pressed_again(settings: Settings) -> None:
    """Also the answers that are given meanwhile."""
    settings = sampled(
        replace(settings, right=EngineChoice("pytorch", "fp32")), Sampling(max_tokens=24, ignore_eos=True)
    )
    app = playground(settings)
    async with app.run_test(size=(140, 40)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "What is a KV cache?")
        text = shown_text(app, "left")
        await press_v(pilot)
        for side in app.sides:
            shaded = last(app, side.name).shaded
            assert shaded, toasts(app)
            shown = shown_text(app, side.name)
            assert f"token {shaded.marked + 1} of 24" in shown
            assert LEGEND in shown
        shaded = last(app, "left").shaded
        assert shaded
        shaded.mark(0)
        await pilot.press(".", ".", ",")
        assert "token 2 of 24" in shown_text(app, "left")
        app.screen.query_one(PromptInput).focus()
        await ask(pilot, "And a token?")
        await until_finished(pilot, "shade")
        assert last(app, "left").shaded
        assert last(app, "right").shaded
        await press_v(pilot)
        await wait_until(pilot, lambda: not last(app, "left").shaded)
        assert text.splitlines()[2] in shown_text(app, "left")
        assert LEGEND not in shown_text(app, "right")


async def test_the_least_probable_token_is_scrolled_to(settings: Settings) -> None:
    """In a terminal that shows a part of the answer only."""
    app = playground(sampled(settings, Sampling(max_tokens=200, ignore_eos=True)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "What is a KV cache?")
        await press_v(pilot)
        await pilot.pause()
        turn, transcript = last(app, "left"), app.screen.query_one("#turns-left", Transcript)
        assert turn.shaded
        assert turn.shaded.marked == min(
            range(200),
            key=lambda place: turn.shaded.answer.scores[place].probability,  # type: ignore[union-attr]
        )
        lines = transcript.max_scroll_y + transcript.size.height
        assert lines > 2 * transcript.size.height
        assert 0 <= turn.token_row - transcript.scroll_offset.y < transcript.size.height


async def test_greedy_answers_consist_of_the_most_likely_tokens(settings: Settings) -> None:
    """The engine's own alternatives: the first one is the token that it has written."""
    app = playground(sampled(settings, Sampling(max_tokens=16)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "What is a token?")
        await press_v(pilot)
        for side in app.sides:
            shaded = last(app, side.name).shaded
            assert shaded, toasts(app)
            tops = [score.alternatives[0] for score in shaded.answer.scores]
            assert tuple(one.token_id for one in tops) == side.conversation.turns[-1].token_ids
            for top, score in zip(tops, shaded.answer.scores, strict=True):
                assert top.probability == pytest.approx(score.probability, abs=1e-6)


async def test_an_answer_of_another_engine_is_not_shaded(settings: Settings) -> None:
    app = playground(sampled(settings, Sampling(max_tokens=8)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "Hello")
        app.left.conversation.turns[-1].engine_digest = "another"
        await press_v(pilot)
        assert not last(app, "left").shaded
        assert last(app, "right").shaded
        assert "has computed this answer, and is not loaded" in toasts(app)
        await until_answered(pilot)
