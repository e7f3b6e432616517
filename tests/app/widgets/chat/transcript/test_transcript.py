"""The transcript widget: following, marking, clicking, copying and selecting."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.selection import SELECT_ALL

import app
from app import themes
from app.state.conversation.conversation import Turn
from app.widgets.chat.transcript.rendered_turn import RenderedTurn
from app.widgets.chat.transcript.transcript import Transcript
from engines.measure.timing import Timing
from tests.app.driving import wait_until

TIMING = Timing(143, 0.0213, 0.0058, 171.8, 0.0057, 0.0071, 890.0, 0.85)
CODE = "Look:\n\n```python\nprint(1)\n```\n\nand\n\n```python\nprint(2)\n```\n"


class TranscriptApp(App[None]):
    """An app with a transcript; records the messages that it posts."""

    CSS_PATH = Path(app.__file__).parent / "styles" / "chat.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Message] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.variable_defaults(True)

    def compose(self) -> ComposeResult:
        yield Transcript()

    def on_transcript_edit_requested(self, event: Transcript.EditRequested) -> None:
        self.got.append(event)

    def on_transcript_regenerate_requested(self, event: Transcript.RegenerateRequested) -> None:
        self.got.append(event)

    def on_transcript_version_requested(self, event: Transcript.VersionRequested) -> None:
        self.got.append(event)


def rendered(prompt: str, answer: str = "One line.", versions: int = 1, thought: str = "") -> RenderedTurn:
    turn = Turn(prompt, answer, timing=TIMING, reason="stop", mode="in turn")
    turn.thought, turn.thought_tokens = thought, 1_234 if thought else 0
    return RenderedTurn(turn, 1, versions)


@asynccontextmanager
async def transcript(*turns: RenderedTurn) -> AsyncGenerator[tuple[Pilot[None], Transcript]]:
    transcript_app = TranscriptApp()
    async with transcript_app.run_test(size=(60, 20)) as pilot:
        shown = transcript_app.query_one(Transcript)
        shown.show(list(turns))
        shown.focus()
        await pilot.pause()
        yield pilot, shown


def screen(pilot: Pilot[None]) -> list[str]:
    shown = pilot.app.query_one(Transcript)
    return [shown.render_line(y).text.strip() for y in range(shown.size.height)]


async def until_at_rest(pilot: Pilot[None], shown: Transcript) -> None:
    """Wait until the transcript has scrolled to its target."""
    await wait_until(pilot, lambda: shown.scroll_y == shown.scroll_target_y)


def streaming_turn(answer: str = "") -> RenderedTurn:
    streaming = rendered("Go on?", answer)
    streaming.ended = False
    return streaming


async def test_the_newest_text_is_followed_until_the_user_scrolls() -> None:
    streaming = streaming_turn()
    async with transcript(*(rendered(f"Question {number}?") for number in range(8)), streaming) as (
        pilot,
        shown,
    ):
        for line in range(10):
            streaming.turn.answer += f"Line {line}.\n\n"
            shown.grow()
        await pilot.pause()
        assert "Line 9." in screen(pilot)[-2:]
        await pilot.press("pageup")
        await until_at_rest(pilot, shown)
        before = screen(pilot)
        streaming.turn.answer += "More.\n"
        shown.grow()
        await pilot.pause()
        assert screen(pilot) == before
        assert not shown.follows
        await pilot.press("end")
        await until_at_rest(pilot, shown)
        assert shown.follows
        streaming.end()
        shown.grow()
        assert any("TTFT" in line for line in screen(pilot)[-3:])


async def test_streaming_text_causes_no_layout() -> None:
    """A change of the content's height must not lay out the screen, which would be slow in long chats."""
    streaming = streaming_turn()
    async with transcript(streaming) as (pilot, shown):
        layouts: list[object] = []
        pilot.app.screen.screen_layout_refresh_signal.subscribe(pilot.app.screen, layouts.append)
        for _ in range(5):
            streaming.turn.answer += (
                "A paragraph that is as long as three lines of this pane are, at the least. " * 2
            )
            streaming.turn.answer += "\n\n"
            shown.grow()
            await pilot.pause()
        assert shown.virtual_size.height > 15
        assert not layouts


async def test_a_resize_and_a_theme_change_render_again() -> None:
    long = "word " * 40
    async with transcript(rendered("Question?", long)) as (pilot, shown):
        wide = shown.virtual_size.height
        await pilot.resize_terminal(30, 20)
        await pilot.pause()
        assert shown.virtual_size.height > wide
        before = shown.render_line(0)
        pilot.app.theme = "textual-light"
        await pilot.pause()
        assert list(shown.render_line(0)) != list(before)


async def test_turns_are_marked_by_key_and_click() -> None:
    turns = [rendered(f"Question {number}?") for number in range(8)]
    async with transcript(*turns) as (pilot, _shown):
        await pilot.press("p", "p")
        assert [turn.marked for turn in turns[-2:]] == [True, False]
        assert any("copy" in line for line in screen(pilot))
        await pilot.press(*["p"] * 10)
        assert turns[0].marked
        assert "Question 0?" in screen(pilot)[0]
        await pilot.press("n", "e")
        await pilot.pause()
        [message] = pilot.app.got  # type: ignore[attr-defined]
        assert message.turn is turns[1].turn
        row = next(y for y, line in enumerate(screen(pilot)) if "Question 3?" in line)
        await pilot.click(Transcript, offset=(3, row))
        assert turns[3].marked


async def test_answers_and_code_blocks_are_copied() -> None:
    async with transcript(rendered("Code?", CODE)) as (pilot, shown):
        await pilot.press("c")
        assert pilot.app.clipboard == CODE
        await pilot.press("b")
        assert pilot.app.clipboard == "print(2)"
        row = next(y for y, line in enumerate(screen(pilot)) if line.endswith("copy"))
        await pilot.click(Transcript, offset=(shown.render_line(row).text.index("copy") + 1, row))
        assert pilot.app.clipboard == "print(1)"


async def test_actions_of_a_marked_turn_are_clickable() -> None:
    async with transcript(rendered("Question?", versions=3)) as (pilot, shown):
        assert any("version 1 of 3" in line for line in screen(pilot))
        await pilot.press("p")
        for word in ("edit", "retry", "→"):
            row = next(y for y, line in enumerate(screen(pilot)) if "e edit" in line)
            await pilot.click(Transcript, offset=(shown.render_line(row).text.index(word), row))
        names = [type(message).__name__ for message in pilot.app.got]  # type: ignore[attr-defined]
        assert names == ["EditRequested", "RegenerateRequested", "VersionRequested"]


async def test_reasoning_folds() -> None:
    async with transcript(rendered("Why?", "So.", thought="Secret words.\n")) as (pilot, _shown):
        assert any("Reasoning: 1,234 tokens" in line for line in screen(pilot))
        assert not any("Secret" in line for line in screen(pilot))
        await pilot.press("t")
        assert any("Secret" in line for line in screen(pilot))
        row = next(y for y, line in enumerate(screen(pilot)) if "Reasoning:" in line)
        await pilot.click(Transcript, offset=(4, row))
        assert not any("Secret" in line for line in screen(pilot))


async def test_of_a_thought_that_streams_the_newest_lines_are_shown() -> None:
    live = rendered("Why?", "", thought="\n".join(f"Step {number}." for number in range(9)))
    live.ended = False
    async with transcript(live) as (pilot, shown):
        assert any("Reasoning … 1,234 tokens" in line for line in screen(pilot))
        assert [line.strip() for line in screen(pilot) if "Step" in line] == ["Step 6.", "Step 7.", "Step 8."]
        live.turn.answer = "So."
        shown.grow()
        await pilot.pause()
        assert any("So." in line for line in screen(pilot))
        assert any("Reasoning: 1,234 tokens (show)" in line for line in screen(pilot))
        assert not any("Step" in line for line in screen(pilot))


async def test_text_can_be_selected() -> None:
    async with transcript(rendered("Question?", "An answer.")) as (pilot, shown):
        pilot.app.screen.selections = {shown: SELECT_ALL}
        await pilot.pause()
        selected = pilot.app.screen.get_selected_text()
        assert selected
        assert selected.splitlines()[:2] == ["Question?", "An answer."]
        assert screen(pilot)[0].strip() == "❯ Question?"


async def test_keys_without_turns_do_nothing() -> None:
    async with transcript() as (pilot, _):
        await pilot.press("p", "n", "c", "b", "e", "r", "t", "left", "right", "end", "home")
        await pilot.click(Transcript, offset=(3, 3))
        assert not pilot.app.got  # type: ignore[attr-defined]


async def test_prompts_have_a_mark_and_turns_a_rule_between_them() -> None:
    """Both are visible without colour and bold, and neither is part of the text."""
    turns = [rendered("One?"), rendered("Two?\nin two lines"), streaming_turn("More")]
    async with transcript(*turns) as (pilot, shown):
        rows = [shown.render_line(y).text.rstrip() for y in range(shown.size.height)]
        marks = [row[:2] for row in rows]
        assert [mark for mark in marks if mark.strip()] == ["❯ ", "❯ ", "┃ ", "❯ "]
        assert [row[2:] for row, mark in zip(rows, marks, strict=True) if mark.strip()] == [
            "One?",
            "Two?",
            "in two lines",
            "Go on?",
        ]
        rules = [y for y, row in enumerate(rows) if "──" in row]
        assert [rows[y + 1][:2] for y in rules] == ["❯ ", "❯ "]
        pilot.app.screen.selections = {shown: SELECT_ALL}
        await pilot.pause()
        copied = pilot.app.screen.get_selected_text() or ""
        assert not any(glyph in copied for glyph in "❯┃─")


async def test_a_new_turn_puts_a_rule_below_the_one_before() -> None:
    first, second = rendered("One?"), streaming_turn()
    async with transcript(first) as (pilot, shown):
        assert not any("──" in line for line in screen(pilot))
        shown.show([first, second])
        second.turn.answer = "Text."
        shown.grow()
        await pilot.pause()
        assert sum("──" in line for line in screen(pilot)) == 1


async def test_what_the_chat_template_changed_is_said_with_the_turn() -> None:
    changed = rendered("Question?")
    changed.turn.merged_system, changed.turn.rewritten = True, 1_025
    changed.turn.rewritten_cause = "template"
    async with transcript(changed) as (pilot, _):
        text = " ".join(line.strip("┃ ") for line in screen(pilot))
    before, after = text.split("One line.")
    assert changed.turn.merged_system_words in before
    assert changed.turn.rewritten_words in after
    assert "missed 1,025 tokens of earlier turns: the chat template" in after
