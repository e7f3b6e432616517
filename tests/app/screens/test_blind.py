"""Alt+A: a blind vote on the answers of real engines."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Static

from app.playground import Playground
from app.screens.blind import (
    ALL_VOTED,
    BOTH_ANSWER,
    NAMES_SHOWN,
    NO_PAIR,
    NOT_COUNTED,
    NOTHING_ASKED,
    BlindScreen,
)
from app.screens.chat import ChatScreen
from app.state.conversation.conversation_file import read_record
from app.state.conversation.votes import Choice, Vote
from app.state.settings.settings import EngineChoice, Settings
from app.state.side.busy import STILL_ANSWERING
from app.terminal_text import displayable
from app.widgets.chat.prompt import PromptInput
from app.widgets.compare.blind_answers import BlindAnswer, BlindText
from app.widgets.compare.blind_prompt import BlindPrompt
from engines.backends.registry import BACKENDS
from engines.worker.process import EngineProcess
from engines.worker.protocol import Sampling
from tests.app.conftest import PYTORCH
from tests.app.driving import ask, playground, sampled, toasts, until_ready, wait_until
from tests.app.still import StillPlayground
from tests.doubles import paced_worker

BRACKETS = "What is [bold]a KV cache[/]?"
"""Text in which Textual's markup would disappear."""


async def opened(pilot: Pilot[None]) -> BlindScreen:
    """Open the screen from the prompt of the chat."""
    assert isinstance(pilot.app.focused, PromptInput)
    await pilot.press("alt+a")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, BlindScreen) and pilot.app.screen.is_mounted)
    screen = pilot.app.screen
    assert isinstance(screen, BlindScreen)
    return screen


def text(screen: BlindScreen, selector: str) -> str:
    """Return what a part shows; empty for one that is hidden."""
    found = screen.query_one(selector)
    shown = found if isinstance(found, Static) else found.query_one(Static)
    return str(shown.content) if found.display else ""


def everything(screen: BlindScreen) -> str:
    """Return all texts and titles of the screen."""
    titles = [str(part.border_title) for part in screen.query(BlindText)]
    return "\n".join([str(part.content) for part in screen.query(Static)] + titles)


async def until_saved(pilot: Pilot[None]) -> list[Vote]:
    """Wait until all votes are written, and return those of the file."""
    app = pilot.app
    assert isinstance(app, Playground)
    await wait_until(pilot, lambda: all(one.is_finished for one in app.workers if one.group == "votes"))
    assert app.history.path
    return list(read_record(app.history.path).votes)


async def test_votes_of_a_conversation(settings: Settings) -> None:
    """Every key: two prompts from the chat, a third one asked here; then the chat, a swap, and the file."""
    app = playground(replace(settings, left=EngineChoice("openvino", "int4"), right=PYTORCH))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until_ready(pilot)
        await ask(pilot, "Hello")
        await ask(pilot, "Once more")
        screen = await opened(pilot)
        await _look(pilot, screen)
        await _vote_and_undo(pilot, screen)
        await _reveal(pilot, screen)
        await _ask(pilot, screen)
        saved = await until_saved(pilot)
        assert [vote.choice for vote in saved[1:]] == [Choice.TIE, Choice.BOTH_BAD]
        assert [vote.revealed for vote in saved] == [False, True, False]
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert isinstance(app.screen, ChatScreen)
        for pane in app.screen.panes.panes:
            assert [one.turn.prompt for one in pane.transcript.turns] == ["Hello", "Once more", BRACKETS]
        await pilot.press("ctrl+x")
        await wait_until(pilot, lambda: app.left.title == "PyTorch fp32")
        swapped = await opened(pilot)
        assert swapped.poll.waiting == 0
        assert text(swapped, "#blind-question") == ALL_VOTED
    _reopen(settings, app)


async def _look(pilot: Pilot[None], screen: BlindScreen) -> None:
    """Both answers are shown without names, and scroll together."""
    ballot = screen.poll.current
    assert ballot
    assert ballot.left.prompt == "Hello"
    assert screen.poll.waiting == 2
    shown = everything(screen)
    assert all(displayable(one.answer) in shown for one in ballot.answers)
    assert "OpenVINO" not in shown
    assert "PyTorch" not in shown
    assert "tok/s" not in shown
    await pilot.press("s")
    assert text(screen, "#blind-score") == "No votes yet."
    await pilot.press("s")
    assert text(screen, "#blind-score") == ""


async def _vote_and_undo(pilot: Pilot[None], screen: BlindScreen) -> None:
    """Left and Right are A and B, N leaves a pair for later, U takes a vote back."""
    app, first = pilot.app, screen.poll.current
    assert isinstance(app, Playground)
    assert first
    a, b = first.answers
    await pilot.press("right")
    assert [vote.better for vote in app.votes] == [b]
    assert "Your last vote: B is better" in text(screen, "#blind-note")
    assert "each answer continues its own" in text(screen, "#blind-note")
    await pilot.press("u")
    assert screen.poll.current == first
    await pilot.press("n")
    assert screen.poll.current != first
    await pilot.press("n")
    assert screen.poll.current == first
    await pilot.press("s", "left")
    assert [vote.better for vote in app.votes] == [a]
    assert "too few votes: 1 of 20 decided" in text(screen, "#blind-score")
    assert [vote.better and vote.better.engine for vote in await until_saved(pilot)] == [a.engine]


async def _reveal(pilot: Pilot[None], screen: BlindScreen) -> None:
    """A vote after the names were shown does not count."""
    ballot = screen.poll.current
    assert ballot
    await pilot.press("r")
    titles = [str(part.border_title) for part in screen.query(BlindAnswer)]
    assert titles == [f"{letter} · {one.engine}" for letter, one in zip("AB", ballot.answers, strict=True)]
    assert NAMES_SHOWN in text(screen, "#blind-note")
    await pilot.press("t")
    assert NOT_COUNTED in text(screen, "#blind-note")
    assert "not counted 1 (names shown)" in text(screen, "#blind-score")
    assert text(screen, "#blind-question") == ALL_VOTED
    await pilot.press("b")
    assert NO_PAIR in toasts(screen.app)  # type: ignore[arg-type]


async def _ask(pilot: Pilot[None], screen: BlindScreen) -> None:
    """Tab leads to the box, whose keys write text; its prompt goes to both sides."""
    await pilot.press("tab", "tab")
    box = screen.query_one(BlindPrompt)
    assert box.has_focus
    await pilot.press("t", "left", "b")
    assert box.text == "bt"
    box.load_text(BRACKETS)
    await pilot.press("enter")
    await wait_until(pilot, lambda: screen.poll.current is not None)
    assert box.text == ""
    assert text(screen, "#blind-question") == BRACKETS
    assert screen.poll.current
    assert text(screen, "#blind-a") == displayable(screen.poll.current.answers[0].answer)
    assert [str(part.border_title) for part in screen.query(BlindAnswer)] == ["A", "B"]
    await pilot.press("b")
    assert screen.poll.waiting == 0


def _reopen(settings: Settings, app: Playground) -> None:
    """Another app that opens the file has the votes, on the sides after the swap."""
    assert app.history.path
    app.history.close()
    again = playground(settings, conversation=app.history.path)
    assert [vote.choice for vote in again.votes][1:] == [Choice.TIE, Choice.BOTH_BAD]
    left, right = (side.conversation.turns for side in again.sides)
    assert left[0].engine == "PyTorch fp32"
    assert all(again.votes.of(one, other) for one, other in zip(left, right, strict=True))
    again.history.close()


async def test_a_control_run_and_a_stopped_answer(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One engine on both sides gives identical answers; nothing is shown while answers are written."""
    monkeypatch.setitem(BACKENDS, paced_worker.NAME, paced_worker.ENTRY)
    start = functools.partial(EngineProcess.start, python=paced_worker.interpreter(tmp_path))
    paced = EngineChoice(paced_worker.NAME, "fp32")
    settings = Settings(checkpoint=str(tiny), context=512, chosen=True, left=paced, right=paced)
    app = Playground(sampled(settings, Sampling(max_tokens=400, seed=3)), start_worker=start)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_ready(pilot)
        screen = await opened(pilot)
        assert text(screen, "#blind-question") == NOTHING_ASKED
        await _stop(pilot, screen)
        quick = sampled(settings, Sampling(max_tokens=3))
        app.change_settings(left_chat=quick.left_chat, right_chat=quick.right_chat)
        screen.query_one(BlindPrompt).focus()
        screen.query_one(BlindPrompt).load_text("Hello again")
        await pilot.press("enter")
        await wait_until(pilot, lambda: len(app.votes) == 1)
        [vote] = await until_saved(pilot)
        assert vote.choice is Choice.TIE
        assert vote.identical
        assert "the answers are identical, which is a tie" in text(screen, "#blind-note")
        await pilot.press("s")
        assert text(screen, "#blind-score").startswith("control run, Paced fp32 on both sides")


async def _stop(pilot: Pilot[None], screen: BlindScreen) -> None:
    """Nothing of an answer is shown while it is written; Esc stops it, and there is no vote on it."""
    app = screen.playground
    screen.query_one(BlindPrompt).load_text("Hello")
    await pilot.press("enter")
    await wait_until(
        pilot, lambda: bool(app.left.conversation.turns and app.left.conversation.turns[0].answer)
    )
    assert text(screen, "#blind-question") == "Hello"
    assert text(screen, "#blind-note") == BOTH_ANSWER
    assert [text(screen, letter) for letter in ("#blind-a", "#blind-b")] == ["…", "…"]
    await pilot.press("t", "u", "n")
    assert STILL_ANSWERING in toasts(pilot.app)  # type: ignore[arg-type]
    await pilot.press("escape")
    await wait_until(pilot, lambda: text(screen, "#blind-note") != BOTH_ANSWER)
    assert "No vote on the last prompt: not comparable, an answer is not complete." in text(
        screen, "#blind-note"
    )
    assert "Skipped as not comparable: 1" in text(screen, "#blind-note")
    assert pilot.app.screen is screen


async def test_without_engines() -> None:
    """No key fails, and a prompt is kept."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await opened(pilot)
        box = screen.query_one(BlindPrompt)
        assert box.has_focus
        await pilot.press("a", "enter")
        assert "No engine is loaded" in toasts(app)
        assert box.text == "a"
        screen.query_one("#blind-a").focus()
        await pilot.press("left", "right", "t", "b", "n", "u", "r", "s", "f1", "escape", "escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
