"""The transcript on its own: following, marking, clicking, selecting."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.selection import SELECT_ALL

from app import themes
from app.state.conversation.conversation import Turn
from app.widgets.chat.transcript.drawn_turn import RenderedTurn
from app.widgets.chat.transcript.transcript import Transcript
from engines.measure.timing import Timing
from tests.app.driving import wait_until

TIMING = Timing(143, 0.0213, 0.0058, 171.8, 0.0057, 0.0071, 890.0, 0.85)
CODE = "Look:\n\n```python\nprint(1)\n```\n\nand\n\n```python\nprint(2)\n```\n"


class TranscriptApp(App[None]):
    """A transcript and nothing else; keeps the messages that it sends."""

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


def drawn(prompt: str, answer: str = "One line.", versions: int = 1) -> RenderedTurn:
    turn = Turn(prompt, answer, timing=TIMING, reason="stop", mode="in turn")
    return RenderedTurn(turn, 1, versions)


@asynccontextmanager
async def transcript(*turns: RenderedTurn) -> AsyncGenerator[tuple[Pilot[None], Transcript]]:
    app = TranscriptApp()
    async with app.run_test(size=(60, 20)) as pilot:
        shown = app.query_one(Transcript)
        shown.show(list(turns))
        shown.focus()
        await pilot.pause()
        yield pilot, shown


def screen(pilot: Pilot[None]) -> list[str]:
    shown = pilot.app.query_one(Transcript)
    return [shown.render_line(y).text.strip() for y in range(shown.size.height)]


async def until_at_rest(pilot: Pilot[None], shown: Transcript) -> None:
    """Wait until it has scrolled to where it should."""
    await wait_until(pilot, lambda: shown.scroll_y == shown.scroll_target_y)


def live(answer: str = "") -> RenderedTurn:
    growing = drawn("Go on?", answer)
    growing.ended = False
    return growing


async def test_the_newest_text_is_followed_until_the_user_scrolls() -> None:
    growing = live()
    async with transcript(*(drawn(f"Question {number}?") for number in range(8)), growing) as (pilot, shown):
        for line in range(10):
            growing.turn.answer += f"Line {line}.\n\n"
            shown.grow()
        await pilot.pause()
        assert "Line 9." in screen(pilot)[-2:]
        await pilot.press("pageup")
        await until_at_rest(pilot, shown)
        before = screen(pilot)
        growing.turn.answer += "More.\n"
        shown.grow()
        await pilot.pause()
        assert screen(pilot) == before
        assert not shown.follows
        await pilot.press("end")
        await until_at_rest(pilot, shown)
        assert shown.follows
        growing.end()
        shown.grow()
        assert any("in turn" in line for line in screen(pilot)[-3:])


async def test_growing_needs_no_layout() -> None:
    """What makes many widgets slow: the height of the content must not lay out the screen."""
    growing = live()
    async with transcript(growing) as (pilot, shown):
        layouts: list[object] = []
        pilot.app.screen.screen_layout_refresh_signal.subscribe(pilot.app.screen, layouts.append)
        for _ in range(5):
            growing.turn.answer += (
                "A paragraph that is as long as three lines of this pane are, at the least. " * 2
            )
            growing.turn.answer += "\n\n"
            shown.grow()
            await pilot.pause()
        assert shown.virtual_size.height > 15
        assert not layouts


async def test_narrower_and_another_theme() -> None:
    long = "word " * 40
    async with transcript(drawn("Question?", long)) as (pilot, shown):
        wide = shown.virtual_size.height
        await pilot.resize_terminal(30, 20)
        await pilot.pause()
        assert shown.virtual_size.height > wide
        before = shown.render_line(0)
        pilot.app.theme = "textual-light"
        await pilot.pause()
        assert list(shown.render_line(0)) != list(before)


async def test_marks_by_key_and_click() -> None:
    turns = [drawn(f"Question {number}?") for number in range(8)]
    async with transcript(*turns) as (pilot, _shown):
        await pilot.press("p", "p")
        assert [turn.marked for turn in turns[-2:]] == [True, False]
        assert any("copy" in line for line in screen(pilot))
        await pilot.press(*["p"] * 10)
        assert turns[0].marked
        assert "Question 0?" in screen(pilot)[0]
        await pilot.press("n", "e")
        await pilot.pause()
        [wanted] = pilot.app.got  # type: ignore[attr-defined]
        assert wanted.turn is turns[1].turn
        row = next(y for y, line in enumerate(screen(pilot)) if "Question 3?" in line)
        await pilot.click(Transcript, offset=(3, row))
        assert turns[3].marked


async def test_copying() -> None:
    async with transcript(drawn("Code?", CODE)) as (pilot, shown):
        await pilot.press("c")
        assert pilot.app.clipboard == CODE
        await pilot.press("b")
        assert pilot.app.clipboard == "print(2)"
        row = next(y for y, line in enumerate(screen(pilot)) if line.endswith("copy"))
        await pilot.click(Transcript, offset=(shown.render_line(row).text.index("copy") + 1, row))
        assert pilot.app.clipboard == "print(1)"


async def test_the_line_of_actions_is_clicked() -> None:
    async with transcript(drawn("Question?", versions=3)) as (pilot, shown):
        assert any("version 1 of 3" in line for line in screen(pilot))
        await pilot.press("p")
        for word in ("edit", "again", "→"):
            row = next(y for y, line in enumerate(screen(pilot)) if "e edit" in line)
            await pilot.click(Transcript, offset=(shown.render_line(row).text.index(word), row))
        names = [type(message).__name__ for message in pilot.app.got]  # type: ignore[attr-defined]
        assert names == ["EditRequested", "RegenerateRequested", "VersionRequested"]


async def test_thoughts_fold() -> None:
    async with transcript(drawn("Why?", "<think>\nSecret words.\n</think>\n\nSo.")) as (pilot, _shown):
        assert any("Thought: 2 words" in line for line in screen(pilot))
        assert not any("Secret" in line for line in screen(pilot))
        await pilot.press("t")
        assert any("Secret" in line for line in screen(pilot))
        row = next(y for y, line in enumerate(screen(pilot)) if "Thought:" in line)
        await pilot.click(Transcript, offset=(4, row))
        assert not any("Secret" in line for line in screen(pilot))


async def test_text_can_be_selected() -> None:
    async with transcript(drawn("Question?", "An answer.")) as (pilot, shown):
        pilot.app.screen.selections = {shown: SELECT_ALL}
        await pilot.pause()
        selected = pilot.app.screen.get_selected_text()
        assert selected
        assert selected.splitlines()[:2] == ["Question?", "An answer."]
        assert screen(pilot)[0].strip() == "Question?"


async def test_nothing_to_act_upon() -> None:
    async with transcript() as (pilot, _):
        await pilot.press("p", "n", "c", "b", "e", "r", "t", "left", "right", "end", "home")
        await pilot.click(Transcript, offset=(3, 3))
        assert not pilot.app.got  # type: ignore[attr-defined]
