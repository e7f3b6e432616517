"""A saved conversation is replayed as it was recorded, without any engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from textual.pilot import Pilot
from textual.widgets import Digits, Footer, Header, Static

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.conversations import ConversationsScreen
from app.screens.replay import ReplayScreen
from app.state.conversation.conversation import Conversation, Turn
from app.state.conversation.conversation_file import ConversationFile
from app.state.conversation.record import Record, read_record
from app.state.conversation.replay_words import MEAN_RATE, UNKNOWN_SIZE
from app.state.conversation.token_stamps import spread, token_stamps
from app.state.settings.paths import conversation_folder
from app.state.settings.settings import Settings
from app.widgets.chat.speed_comparison import SpeedComparison
from app.widgets.chat.stage_figures import StageTitle
from app.widgets.chat.transcript.transcript import Transcript
from engines.measure.timing import timing
from engines.worker.process import EngineProcess
from tests.app.driving import ask as ask_engines
from tests.app.driving import is_composed, playground, until_answered, until_chat, until_ready, wait_until
from tests.app.still import StillPlayground

MS = 1_000_000
PROMPTS = ("What is a token?", "And a KV cache?")
ANSWER = "A token is a piece of text: a word or a part of it. " * 2
TOKENS = 80
GAPS = {"left": 1 * MS, "right": 4 * MS}
"""1000 and 250 tok/s; the right side begins when the left one has ended."""


def recorded(side: str, prompt: str) -> Turn:
    """Return a turn as this release saves it."""
    times = [10 * MS + GAPS[side] * number for number in range(TOKENS)]
    waited = 100 * MS if side == "right" else 0
    return Turn(
        prompt,
        ANSWER,
        token_ids=tuple(range(TOKENS)),
        timing=timing(0, times, 12),
        reason="stop",
        engine="OpenVINO int8" if side == "left" else "PyTorch fp32",
        mode="in turn",
        checkpoint="SmolLM2-135M-Instruct",
        asked_at=1_764_100_000.0,
        stamps=token_stamps(0, times, spread(len(ANSWER), TOKENS), waited),
        machine="AMD EPYC 9B14, 2 cores",
        versions={"openvino": "2025.3"},
        parameters=135_000_000,
    )


def saved(*, old: bool = False) -> Path:
    """Save a conversation of two prompts and return its file; `old` leaves out what earlier releases did."""
    file = ConversationFile(conversation_folder())
    sides = {"left": Conversation(), "right": Conversation()}
    for prompt in PROMPTS:
        for name, conversation in sides.items():
            turn = recorded(name, prompt)
            if old:
                turn = replace(turn, stamps=None, machine="", versions={}, parameters=None)
            conversation.add(turn)
            file.append_turn(name, conversation)
    file.close()
    assert file.path
    return file.path


async def no_worker(backend: str, log: Path) -> EngineProcess:
    """Fail: a replay starts no worker."""
    raise AssertionError(f"a worker of {backend} was started")


def replaying(record: Record) -> Playground:
    """Return an app that replays a conversation, and cannot start a worker."""
    return Playground(Settings(chosen=True), replay=record, start_worker=no_worker)


async def shown(pilot: Pilot[None]) -> ReplayScreen:
    """Return the replay, paused at the beginning of the first turn."""
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ReplayScreen))
    await wait_until(pilot, lambda: is_composed(pilot.app.screen))
    screen = pilot.app.screen
    assert isinstance(screen, ReplayScreen)
    screen.playback.is_paused = True
    await go(pilot, screen, 0, 0.0)
    return screen


async def go(pilot: Pilot[None], screen: ReplayScreen, index: int, seconds: float) -> None:
    """Show the replay at a position."""
    screen.playback.index, screen.playback.seconds = index, seconds
    screen._redraw()
    await pilot.pause()


def text(screen: ReplayScreen, selector: str) -> str:
    """Return the text of a static widget."""
    return str(screen.query_one(selector, Static).content)


def answer(screen: ReplayScreen, side: str) -> str:
    """Return what is shown of the last answer of a side."""
    return screen.query_one(f"#pane-{side} Transcript", Transcript).turns[-1].turn.answer


def number(screen: ReplayScreen, side: str) -> str:
    """Return the large figure of a side."""
    return screen.query_one(f"#stage-{side} Digits", Digits).value


async def test_it_plays_to_its_end_without_a_process() -> None:
    """By the clock: both turns, to the recorded figures and the recorded headline."""
    app, before = replaying(read_record(saved())), psutil.Process().children()
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ReplayScreen) and is_composed(app.screen))
        screen = app.screen
        assert isinstance(screen, ReplayScreen)
        await wait_until(pilot, lambda: screen.playback.has_ended)
        await wait_until(pilot, lambda: screen.query_one(SpeedComparison).display)
        assert answer(screen, "left") == answer(screen, "right") == ANSWER
        assert (number(screen, "left"), number(screen, "right"), number(screen, "ratio")) == (
            "1,000",
            "250",
            "4.0x",
        )
        headline = "OpenVINO int8 is about 4.0× as fast as PyTorch fp32 (2 answers)"
        assert headline in text(screen, "#comparison")
        assert psutil.Process().children() == before
        assert all(side.pid is None for side in app.sides)


async def test_tokens_appear_when_they_arrived() -> None:
    app = replaying(read_record(saved()))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await shown(pilot)
        assert "prefill" in text(screen, "#stage-left Static")
        assert "queued" in text(screen, "#stage-right Static")
        await go(pilot, screen, 0, 0.0495)
        assert answer(screen, "left") == ANSWER[: round(len(ANSWER) * 40 / TOKENS)]
        assert answer(screen, "right") == ""
        assert (number(screen, "left"), text(screen, "#stage-left Static")) == ("1,000", "tok/s now")
        await go(pilot, screen, 0, 0.100 + 0.010 + 0.0395)
        assert answer(screen, "left") == ANSWER
        assert answer(screen, "right") == ANSWER[: len(ANSWER) * 10 // TOKENS]
        assert not screen.query_one(SpeedComparison).display


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_it_is_marked_as_recorded(size: tuple[int, int]) -> None:
    """In the header and on the stage, also once header and footer are hidden; there are no panels."""
    app = replaying(read_record(saved()))
    async with app.run_test(size=size) as pilot:
        screen = await shown(pilot)
        await go(pilot, screen, 1, 9.0)
        title = screen.query_one(StageTitle)
        words = "Recorded on 2025-11-25, not running now · AMD EPYC 9B14, 2 cores"
        assert screen.sub_title.startswith(words)
        assert "openvino 2025.3" in screen.sub_title
        assert words in str(title.content)
        assert "SmolLM2-135M-Instruct" in str(title.content)
        assert not screen.query("PanelStrip")
        parts = [title, *screen.query("RecordedPane, StageFigures, SpeedComparison")]
        assert all(one.region in screen.region for one in parts)
        assert title.region.height >= 2
        await pilot.press("ctrl+g")
        assert [screen.query_one(kind).region.height for kind in (Header, Footer)] == [0, 0]
        assert title.region.height >= 2
        await pilot.press("ctrl+g")
        assert all(screen.query_one(kind).region.height for kind in (Header, Footer))


async def test_keys() -> None:
    """Space, Left, Right, + and -; Esc ends the app that the command line opened."""
    app = replaying(read_record(saved()))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await shown(pilot)
        title = screen.query_one(StageTitle)
        assert "paused" in str(title.content)
        await pilot.press("right")
        assert "prompt 2 of 2" in str(title.content)
        assert len(screen.query_one("#pane-left Transcript", Transcript).turns) == 2
        await pilot.press("right")
        assert screen.playback.has_ended
        assert screen.query_one(SpeedComparison).display
        await pilot.press("left")
        assert "prompt 1 of 2" in str(title.content)
        assert not screen.query_one(SpeedComparison).display
        await pilot.press("plus", "plus")
        assert "4×" in str(title.content)
        await pilot.press("minus", "minus", "minus")
        assert "0.5×" in str(title.content)
        await pilot.press("plus")
        assert "×" not in str(title.content)
        await pilot.press("space")
        assert "paused" not in str(title.content)
        await pilot.press("escape")
        await wait_until(pilot, lambda: not app.is_running)


async def test_a_file_of_an_earlier_release() -> None:
    """Played at the mean rate, and says so; without the size of the model the ratio is not to be quoted."""
    app = replaying(read_record(saved(old=True)))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await shown(pilot)
        assert MEAN_RATE in str(screen.query_one(StageTitle).content)
        assert "machine not recorded" in screen.sub_title
        await go(pilot, screen, 0, 9.0)
        assert f"not to be quoted: {UNKNOWN_SIZE}" in text(screen, "#comparison")
        assert not screen.query_one("#stage-ratio").display
        assert number(screen, "left") == "1,000"


async def test_answers_of_which_little_was_saved() -> None:
    """A prompt that one side was not asked, an interrupted answer: words, no figures."""
    record = Record()
    record.sides["left"].add(Turn("Hi", "Some te", engine="OpenVINO int8"))
    app = replaying(record)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await shown(pilot)
        assert answer(screen, "left") == "Some te"
        assert (number(screen, "left"), text(screen, "#stage-left Static")) == ("-", "no answer")
        assert (number(screen, "right"), text(screen, "#stage-right Static")) == ("-", "not asked")
        title = str(screen.query_one(StageTitle).content)
        assert "Recorded at an unknown time" in title
        assert "model not recorded" in title


async def test_a_click_on_an_answer_asks_no_engine() -> None:
    app = replaying(read_record(saved()))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await shown(pilot)
        await go(pilot, screen, 1, 9.0)
        await pilot.click("#pane-left Transcript", offset=(5, 2))
        await pilot.press("tab")
        assert screen.focused is None
        assert not any(turn.marked for turn in screen.query_one("#pane-left Transcript", Transcript).turns)


async def test_another_screen_above_it_holds_it() -> None:
    """And its help is that of the replay."""
    app = replaying(read_record(saved()))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await shown(pilot)
        screen.playback.is_paused = False
        await pilot.press("f1")
        await wait_until(pilot, lambda: bool(app.screen.query("#help-about")))
        position = screen.playback.seconds
        screen._advance()
        assert screen.playback.seconds == position


async def test_from_the_conversations(settings: Settings) -> None:
    """P replays the highlighted one, Esc goes back; the chat's own conversation stays."""
    saved()
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("f3")
        await wait_until(pilot, lambda: isinstance(app.screen, ConversationsScreen))
        screen: Any = app.screen
        await wait_until(pilot, lambda: screen.chosen is not None)
        await pilot.press("p")
        await shown(pilot)
        assert not app.left.conversation.turns
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ConversationsScreen))
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))


async def test_what_real_engines_said_is_replayed(settings: Settings) -> None:
    """Stamps, machine, versions and size are in the file; the replay ends with what the chat showed."""
    app = playground(settings)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_chat(pilot)
        await until_ready(pilot)
        await ask_engines(pilot, "Hello")
        await until_answered(pilot)
        path = app.history.path
    assert path
    record = read_record(path)
    for side in record.sides.values():
        (turn,) = side.turns
        assert turn.stamps
        assert turn.timing
        assert len(turn.stamps.gaps) == turn.timing.tokens == len(turn.token_ids)
        assert sum(turn.stamps.characters) == len(turn.answer)
        assert sum(turn.stamps.gaps) == pytest.approx((turn.timing.total or 0) * 1e6, abs=2)
        assert turn.machine.endswith(("core", "cores"))
        assert "openvino" in turn.versions
        assert turn.parameters
    again = replaying(record)
    async with again.run_test(size=(120, 36)) as pilot:
        screen = await shown(pilot)
        await go(pilot, screen, 0, 1e6)
        assert answer(screen, "left") == app.left.conversation.turns[-1].answer
