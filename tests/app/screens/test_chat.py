"""The keys of the chat, with real engines."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.selection import SELECT_ALL
from textual.widgets import Static

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.models import ModelsScreen
from app.state.conversation.conversation_file import read_conversation
from app.state.conversation.saved_conversations import saved_conversations
from app.state.settings.paths import conversation_folder
from app.state.settings.settings import DEMO, EngineChoice, Settings, TimingMode
from app.state.side.phase import Phase
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.speed_comparison import SpeedComparison
from app.widgets.panels.panel_strip import PanelStrip
from engines.measure.timing import Timing
from engines.worker.protocol import Sampling
from tests.app.driving import (
    PATIENCE,
    ask,
    case,
    failure,
    go_on,
    hold_left,
    playground,
    sampled,
    until_answered,
    until_ready,
    until_screen,
    wait_until,
)
from tests.app.still import StillPlayground, chat_answered
from tests.engines.tiny import make_checkpoint


def chat(app: Playground) -> ChatScreen:
    return next(screen for screen in app.screen_stack if isinstance(screen, ChatScreen))


def notice(app: Playground, side: str) -> str:
    return str(chat(app).query_one(f"#pane-{side} .notice", Static).content)


def shown_text(app: Playground, side: str) -> str:
    """Return all lines of a side's turns."""
    transcript = chat(app).query_one(f"#pane-{side}", Pane).transcript
    selected = transcript.get_selection(SELECT_ALL)
    return selected[0] if selected else ""


async def test_a_conversation_and_its_keys(settings: Settings, own_folders: Path) -> None:
    """Prompts and answers, copy, history of prompts, regenerate, a new conversation, timing and swap."""
    path = own_folders / "settings.toml"
    app = playground(replace(settings, right=EngineChoice("openvino", "int4")), path)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        for check in (
            check_before_the_first_prompt,
            check_both_sides_answer_and_keep_their_history,
            check_the_answer_is_shown_with_its_timing,
            check_copy_copies_the_last_answer,
            check_the_prompt_recalls_history_and_takes_new_lines,
            check_turns_add_no_widgets,
            check_regenerate_and_start_anew,
            check_timing_mode_is_shown,
            check_swap_moves_engines_and_conversations,
        ):
            with case(check.__name__):
                await check(pilot, app)
    assert 'timing = "together"' in path.read_text()


async def check_before_the_first_prompt(pilot: Pilot[None], app: Playground) -> None:
    """There is nothing to regenerate or to copy."""
    await pilot.press("ctrl+r", "ctrl+y")
    assert not app.left.conversation.turns
    assert app.clipboard == ""


async def check_both_sides_answer_and_keep_their_history(pilot: Pilot[None], app: Playground) -> None:
    """Two turns on both sides: timing, the speed-up, and a second prompt that includes the first turn."""
    await ask(pilot, "Hello")
    await ask(pilot, "And now?")
    for side in app.sides:
        turns = side.conversation.turns
        assert [turn.prompt for turn in turns] == ["Hello", "And now?"]
        assert all(turn.timing and turn.timing.tokens for turn in turns)
        assert turns[1].prompt_tokens > turns[0].prompt_tokens + len(turns[0].token_ids) - 1
    verdict = app.screen.query_one(SpeedComparison)
    assert verdict.display
    assert "in turn" in str(verdict.content)


async def check_the_answer_is_shown_with_its_timing(pilot: Pilot[None], app: Playground) -> None:
    for side in app.sides:
        shown = shown_text(app, side.name)
        # Words are compared, because Markdown removes marks and wraps lines.
        words = re.findall(r"\w+", side.conversation.turns[-1].answer)
        assert " ".join(words) in " ".join(re.findall(r"\w+", shown))
        assert all(word in shown for word in ("TTFT", "tok/s", "tokens", "length"))


async def check_copy_copies_the_last_answer(pilot: Pilot[None], app: Playground) -> None:
    await pilot.press("ctrl+y")
    assert app.clipboard == app.left.conversation.turns[-1].answer


async def check_the_prompt_recalls_history_and_takes_new_lines(pilot: Pilot[None], app: Playground) -> None:
    prompt = app.screen.query_one(PromptInput)
    await pilot.press("up")
    assert prompt.text == "And now?"
    await pilot.press("up")
    assert prompt.text == "Hello"
    await pilot.press("down", "down")
    assert prompt.text == ""
    await pilot.press("a", "ctrl+j", "b")
    assert prompt.text == "a\nb"
    prompt.load_text("")


async def check_turns_add_no_widgets(pilot: Pilot[None], app: Playground) -> None:
    before = len(chat(app).query("*"))
    await ask(pilot, "Hi")
    assert len(chat(app).query("*")) == before


async def check_regenerate_and_start_anew(pilot: Pilot[None], app: Playground) -> None:
    await pilot.press("ctrl+r")
    await until_answered(pilot)
    assert [turn.attempt for turn in app.left.conversation.turns] == [0, 0, 1]
    assert app.left.conversation.turns[-1].answer
    await pilot.press("ctrl+n")
    await pilot.pause()
    assert not app.left.conversation.turns
    assert not chat(app).query_one("#pane-left", Pane).transcript.turns
    assert not chat(app).query_one(SpeedComparison).display


async def check_timing_mode_is_shown(pilot: Pilot[None], app: Playground) -> None:
    await pilot.press("ctrl+t")
    assert app.settings.timing is TimingMode.TOGETHER
    await ask(pilot, "Hello")
    assert "together" in str(chat(app).query_one(SpeedComparison).content)


async def check_swap_moves_engines_and_conversations(pilot: Pilot[None], app: Playground) -> None:
    left = app.left
    await pilot.press("ctrl+x")
    await pilot.pause()
    assert app.right is left
    assert left.name == "right"
    assert app.settings.left.precision == "int4"
    assert "int4" in str(chat(app).query_one("#pane-left", Pane).border_title)
    await ask(pilot, "Still there?")
    assert [turn.prompt for turn in app.left.conversation.turns] == ["Hello", "Still there?"]


async def test_keys_without_engines(settings: Settings) -> None:
    """Ctrl+X cuts selected text, a prompt is kept, the palette edits the last one, and any size is drawn."""
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_screen(pilot, ModelsScreen)
        await pilot.press("escape")
        prompt = (await until_screen(pilot, ChatScreen)).query_one(PromptInput)
        assert "F2" in notice(app, "left")
        for check in (
            check_panels_are_hidden_and_shown,
            check_ctrl_x_cuts_while_text_is_selected,
            check_a_prompt_is_kept,
            check_the_palette_edits_the_last_prompt,
            check_any_size,
        ):
            with case(check.__name__):
                prompt.load_text("")
                prompt.focus()
                await check(pilot, app)


async def check_panels_are_hidden_and_shown(pilot: Pilot[None], app: Playground) -> None:
    await pilot.press("ctrl+g")
    assert not chat(app).query_one(PanelStrip).display
    assert not app.settings.panels
    await pilot.press("ctrl+g")
    assert chat(app).on_stage  # test_stage.py has the rest of it
    await pilot.press("ctrl+g")
    assert chat(app).query_one(PanelStrip).display
    assert app.settings.panels


async def check_ctrl_x_cuts_while_text_is_selected(pilot: Pilot[None], app: Playground) -> None:
    left = app.left
    await pilot.press(*"abc", "shift+left", "ctrl+x")
    assert app.left is left
    assert app.screen.query_one(PromptInput).text == "ab"


async def check_a_prompt_is_kept(pilot: Pilot[None], app: Playground) -> None:
    await pilot.press(*"Hello", "enter")
    assert app.screen.query_one(PromptInput).text == "Hello"


async def check_the_palette_edits_the_last_prompt(pilot: Pilot[None], app: Playground) -> None:
    await app.run_action("screen.edit_last")
    assert not app.screen.query_one(PromptInput).border_title
    app.left.conversation.begin("one", "")
    await app.run_action("screen.edit_last")
    assert app.screen.query_one(PromptInput).text == "one"


async def check_any_size(pilot: Pilot[None], app: Playground) -> None:
    prompt = app.screen.query_one(PromptInput)
    for size in ((80, 24), (40, 12), (200, 60)):
        await pilot.resize_terminal(20, 6)
        await wait_until(pilot, lambda: app.screen.size == (20, 6))
        await pilot.resize_terminal(*size)
        await wait_until(pilot, lambda size=size: app.screen.size == size)  # type: ignore[misc]
        assert prompt.region.height >= 1


async def test_the_title_names_the_model_and_answers_of_another_one_say_so(
    settings: Settings, tmp_path: Path
) -> None:
    """A conversation continues with another checkpoint, engine and timing mode."""
    other = tmp_path / "Another-1M-Instruct"
    make_checkpoint(other, "llama")
    name = Path(settings.checkpoint).name
    app = playground(sampled(settings, Sampling(max_tokens=4, ignore_eos=True)))
    async with app.run_test(size=(160, 48)) as pilot:
        await until_ready(pilot)
        assert chat(app).sub_title.startswith(f"{name} · in turn")
        await ask(pilot, "one")
        assert "by " not in shown_text(app, "left")
        app.choose(str(other), 512, {"left": EngineChoice("pytorch", "fp32")})
        await wait_until(pilot, lambda: app.left.can_answer and app.left.checkpoint_name == other.name)
        assert chat(app).sub_title.startswith(f"left {other.name}, right {name} · in turn")
        await wait_until(pilot, lambda: f"by {name} OpenVINO int8" in shown_text(app, "left"))
        assert "by " not in shown_text(app, "right")
        await pilot.press("ctrl+t")
        await wait_until(pilot, lambda: shown_text(app, "right").rstrip().endswith("in turn"))
        await ask(pilot, "two")
        assert chat(app).sub_title.startswith(f"left {other.name}, right {name} · together")
        first, second = shown_text(app, "left").split("two")
        assert f"by {name} OpenVINO int8 in turn" in " ".join(first.replace("·", " ").split())
        assert "by " not in second


async def test_escape_stops_both_sides_and_the_next_prompt_works(settings: Settings) -> None:
    """Esc while the left side answers stops it and cancels the queued answer on the right."""
    long = Sampling(max_tokens=400, ignore_eos=True)
    slow = replace(settings, left=EngineChoice("pytorch", "fp32"), checkpoint=DEMO)
    app = playground(sampled(slow, long))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        held = asyncio.create_task(hold_left(app))
        await pilot.press(*"Hello", "enter")
        await asyncio.wait_for(held, PATIENCE)
        assert app.right.phase is Phase.QUEUED
        await pilot.press("escape")
        go_on(app)
        await until_answered(pilot)
        left, right = (side.conversation.turns[-1] for side in app.sides)
        assert left.reason in ("stopped", "stop")
        assert 0 < len(left.token_ids) < 400
        assert (right.reason, right.answer) == ("stopped", "")
        short = sampled(app.settings, Sampling(max_tokens=4, ignore_eos=True))
        app.change_settings(left_chat=short.left_chat, right_chat=short.right_chat)
        await ask(pilot, "Again")
        assert app.right.conversation.turns[-1].answer


async def test_a_killed_worker_affects_only_its_side(settings: Settings) -> None:
    """SIGKILL while idle: the card shows it, the other side answers, restart and regenerate work."""
    app = playground(settings)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "Hello")
        assert app.left.pid
        os.kill(app.left.pid, signal.SIGKILL)
        await wait_until(pilot, lambda: "SIGKILL" in failure(app, "left"))
        assert app.left.phase is Phase.FAILED
        await pilot.press(*"More", "enter")
        await wait_until(pilot, lambda: len(app.right.conversation.turns) == 2)
        await wait_until(pilot, lambda: bool(app.right.conversation.turns[-1].reason))
        assert app.left.conversation.turns[-1].error
        await pilot.press("f9")
        await until_ready(pilot)
        await pilot.press("ctrl+r")
        await until_answered(pilot)
        assert [turn.prompt for turn in app.left.conversation.turns] == ["Hello", "More"]
        assert app.left.conversation.turns[-1].answer
        assert app.right.conversation.turns[-1].attempt == 0


async def test_a_worker_killed_while_answering_keeps_the_partial_answer(settings: Settings) -> None:
    long = Sampling(max_tokens=400, ignore_eos=True)
    app = playground(sampled(replace(settings, left=EngineChoice("pytorch", "fp32")), long))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        await pilot.press(*"Hello", "enter")
        await wait_until(pilot, lambda: any(len(one.token_ids) > 10 for one in app.left.conversation.turns))
        assert app.left.pid
        os.kill(app.left.pid, signal.SIGKILL)
        await wait_until(pilot, lambda: bool(app.right.conversation.turns[-1].reason))
        turn = app.left.conversation.turns[0]
        await wait_until(pilot, lambda: turn.error is not None)
        assert turn.answer
        assert app.left.phase is Phase.FAILED
        assert app.right.conversation.turns[-1].answer
        await wait_until(pilot, lambda: failure(app, "left").startswith("Restart this side"))
        assert "SIGKILL" in turn.error.message, "it is said once, under the answer"


async def test_many_keys_in_quick_succession(settings: Settings) -> None:
    """Keys of the chat while engines load and answer; afterwards a prompt is answered."""
    app = playground(settings)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        keys = [
            "a",
            "enter",
            "escape",
            "ctrl+r",
            "ctrl+x",
            "ctrl+t",
            "ctrl+g",
            "ctrl+y",
            "f9",
            "f1",
            "f1",
            "up",
        ]
        for _ in range(2):
            await pilot.press(*keys)
        await until_ready(pilot)
        for _ in range(2):
            await pilot.press(*keys)
        await pilot.press("ctrl+n")
        await until_answered(pilot)
        await ask(pilot, "Fine?")
        assert app.left.conversation.turns[-1].answer


async def test_conversations_are_saved_and_continued(settings: Settings) -> None:
    """Turns are saved as they happen; the next start continues them; Ctrl+N starts a new one."""
    app = playground(settings)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "Hello")
        [saved] = saved_conversations(conversation_folder())
        said = [turn.answer for turn in app.left.conversation.turns]
        await pilot.press("ctrl+n")
    again = playground(settings, conversation=saved.path)
    async with again.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        assert [turn.answer for turn in again.left.conversation.turns] == said
        assert all(len(pane.transcript.turns) == 1 for pane in chat(again).query(Pane))
        await ask(pilot, "More")
        assert len(again.left.conversation.turns) == 2
        await pilot.press("ctrl+n")
        await ask(pilot, "Again")
    assert [one.turns for one in saved_conversations(conversation_folder())] in ([1, 2], [2, 1])


async def test_an_earlier_prompt_is_edited_and_sent_again(settings: Settings) -> None:
    """Both sides continue from the edited prompt; earlier versions are saved, and Left shows them."""
    app = playground(sampled(settings, Sampling(max_tokens=4, ignore_eos=True)))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        for prompt in ("one", "two", "three"):
            await ask(pilot, prompt)
        left, right = (side.conversation.turns[1] for side in app.sides)
        assert left.prompt_digest == right.prompt_digest
        pane = chat(app).query_one("#pane-left", Pane)
        pane.transcript.focus()
        await pilot.press("p", "p", "e")
        await pilot.pause()
        box = app.screen.query_one(PromptInput)
        assert (box.text, box.has_focus) == ("two", True)
        await pilot.press("escape")
        assert (box.text, box.border_title) == ("", None) or not box.border_title
        pane.transcript.focus()
        await pilot.press("p", "p", "e")
        await pilot.pause()
        await pilot.press("exclamation_mark", "enter")
        await until_answered(pilot)
        for side in app.sides:
            assert [turn.prompt for turn in side.conversation.turns] == ["one", "two!"]
            assert side.conversation.turns[-1].answer
        pane.transcript.focus()
        await pilot.press("left")
        await wait_until(pilot, lambda: len(app.left.conversation.turns) == 3)
        assert [turn.prompt for turn in app.right.conversation.turns] == ["one", "two!"]
        [saved] = saved_conversations(conversation_folder())
        kept = read_conversation(saved.path)
        assert [turn.prompt for turn in kept["left"].turns] == ["one", "two", "three"]
        assert [turn.prompt for turn in kept["right"].turns] == ["one", "two!"]


async def test_regenerate_keeps_the_versions(settings: Settings) -> None:
    """R on an earlier turn regenerates it on both sides, with another seed."""
    app = playground(sampled(settings, Sampling(max_tokens=8, temperature=2.0, ignore_eos=True)))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "one")
        await ask(pilot, "two")
        pane = chat(app).query_one("#pane-right", Pane)
        pane.transcript.focus()
        await pilot.press("p", "p", "r")
        await until_answered(pilot)
        for side in app.sides:
            assert [turn.prompt for turn in side.conversation.turns] == ["one"]
            first, second = side.conversation.versions(0)
            assert first.answer != second.answer
        assert "version 2 of 2" in shown_text(app, "left")


@pytest.mark.parametrize(("mode", "busy"), [("in turn", 100.0), ("together", None), ("together", 100.0)])
async def test_the_agreement_is_visible_below_the_longest_headline(mode: str, busy: float | None) -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for side in app.sides:
            for turn in side.conversation.turns:
                turn.mode, turn.busy_percent = mode, busy
        app.left.conversation.turns[0].timing = Timing(tokens=143, ttft=0.02, decode_rate=40.1)
        chat(app).show_comparison()
        await pilot.pause()
        comparison = chat(app).query_one(SpeedComparison)
        shown = [line.text for line in comparison.render_lines(comparison.size.region)]
        assert "identical, 143 tokens" in shown[-1]
        assert ("not to be quoted" in " ".join(shown)) == (busy is not None)
