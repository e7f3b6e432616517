"""Text of strangers: no screen sends the terminal a character that it obeys or that cannot be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.segment import Segment
from textual._context import visible_screen_stack
from textual.app import App
from textual.color import Color
from textual.pilot import Pilot
from textual.screen import Screen

from app.screens.choose import ChooseScreen
from app.screens.log import LogScreen
from app.screens.make_room import MakeRoomScreen
from app.state.conversation.attachment import Attachment
from app.state.conversation.conversation import Conversation
from app.state.conversation.conversation_file import ConversationFile
from app.state.conversation.draft import Draft
from app.state.settings.paths import conversation_folder
from app.state.side.phase import Phase
from app.widgets.chat.attachment_list import AttachmentList
from app.widgets.chat.composer import Composer
from app.widgets.chat.pane import Pane
from app.widgets.safe_lines import SafeLines
from engines.build.spec import EngineSpec
from engines.build.stored_engine import Manifest, StoredEngine
from engines.displayable import displayable
from engines.worker import protocol
from tests.app.driving import wait_until
from tests.app.still import StillBuild, StillPlayground, set_phase, settle, still_store, turn
from tests.app.test_contrast import KEYS, open_by
from tests.app.widgets.samples import FULL

KINDS = {
    "an escape sequence": "\x1b[31m",
    "C0": "\x07\x08\x0b\x0c\x0e\x1f",
    "C1": "\x85\x9b31m\x9d",
    "delete": "\x7f",
    "bidi": "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "separators": "\u2028\u2029",
    "invisible": "\u200b\u2060\ufeff\xad\u180e\u3164\U000e0041",
    "stray": "a\u200da\ufe0f",
    "unassigned": "\u0378\uffff\U000e0fff",
}
HOSTILE = f"evil {' '.join(KINDS.values())} name"


def drawn(app: App[Any]) -> Iterator[str]:
    """Yield each line of the screen as it is sent to the terminal, and those of what is below a dialog."""
    token = visible_screen_stack.set([])
    try:
        strips = app.screen._compositor.render_strips(app.size)
    finally:
        visible_screen_stack.reset(token)
    for strip in strips:
        yield "".join(segment.text for segment in strip if not segment.control)


def raw(app: App[Any]) -> list[str]:
    """Return the lines with characters that must not reach a terminal."""
    return [line for line in drawn(app) if displayable(line) != line or set(line) & set("\n\t")]


def error() -> protocol.Error:
    return protocol.Error(0, "worker-died", HOSTILE, HOSTILE, HOSTILE)


def answer(markdown: str) -> str:
    return (
        f"# {markdown}\n\n{markdown} `{markdown}` [{markdown}](http://x/{markdown})\n\n- {markdown}\n\n"
        f"| {markdown} | b |\n|---|---|\n| {markdown} | &#x202e;&#x2028; |\n\n```py\n{markdown}\n```\n\n"
        f"\\[ {markdown} \\]\n"
    )


async def talk(pilot: Pilot[None]) -> None:
    """Fill the chat: prompts, answers, engines, attachments, queued prompts; the left side has failed."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    for side in app.sides:
        set_phase(side, Phase.READY)
        side.spec = EngineSpec(f"/models/{HOSTILE}", "openvino", "int8", "cpu")
        pane = app.screen.query_one(f"#pane-{side.name}", Pane)
        for one in (turn(side.name, HOSTILE), turn(side.name, HOSTILE)):
            one.answer, one.engine = answer(HOSTILE), HOSTILE
            one.checkpoint = HOSTILE
            one.attachments = (Attachment(f"{HOSTILE}.py", HOSTILE),)
            side.conversation.add(one)
            pane.begin()
            pane.finish()
    failed = replace(turn("left", HOSTILE), answer=answer(HOSTILE), timing=None, reason="", error=error())
    app.left.conversation.add(failed)
    app.screen.query_one("#pane-left", Pane).begin()
    app.screen.query_one("#pane-left", Pane).finish()
    set_phase(app.left, Phase.FAILED, error())
    composer = app.screen.query_one(Composer)
    composer._queue((Draft(HOSTILE, (Attachment(f"{HOSTILE}.py", HOSTILE),)),))
    await composer.query_one(AttachmentList).show((Attachment(f"{HOSTILE}.py", HOSTILE),), {})
    app.screen.show_comparison()  # type: ignore[attr-defined]
    app.notify(HOSTILE, title=HOSTILE, markup=False)
    await pilot.pause()


async def fill(app: StillPlayground) -> None:
    """Save a conversation and an engine with such names, and prepare engines that say such things."""
    conversation = Conversation()
    conversation.add(replace(turn("left"), prompt=HOSTILE, engine="m", answer="x"))
    ConversationFile(conversation_folder()).append_turn("left", conversation)
    spec = EngineSpec(f"/models/{HOSTILE}", "openvino", "int8", "cpu")
    manifest = Manifest(spec, {HOSTILE: HOSTILE}, {"model.bin": 9}, {}, 3.0, 1_790_000_000.0)
    app.store = still_store(StoredEngine("int80c4d5e6f7", Path(f"/nowhere/{HOSTILE}"), manifest))
    build = StillBuild(HOSTILE, [HOSTILE], (1, 2), 1, 2, HOSTILE, ended=0.0, error=error())
    build.lines.append(HOSTILE)
    app.left.build = build
    for name in app.builds:
        app.build_changed.publish(name)


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "by the widgets alone"])
async def test_no_screen_sends_such_text_to_the_terminal(
    guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not guarded:
        monkeypatch.setattr("app.widgets.safe_lines.SafeLines.apply", lambda _, segments, __: segments)
    app = StillPlayground("playground-dark", chosen=True, snapshot=FULL)
    async with app.run_test(size=(120, 60)) as pilot:
        await talk(pilot)
        await fill(app)
        found = {"chat": raw(app)}
        assert any("evil" in line for line in drawn(app))
        for key in KEYS:
            await open_by(pilot, key)
            found[key] = raw(app)
        assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("dialog", ["choose", "room", "log"])
async def test_no_dialog_sends_such_text_to_the_terminal(dialog: str, tmp_path: Path) -> None:
    log = tmp_path / "left.log"
    log.write_text(HOSTILE, "utf-8")
    opened: dict[str, Screen[Any]] = {
        "choose": ChooseScreen(HOSTILE, [HOSTILE], HOSTILE),
        "room": MakeRoomScreen((HOSTILE,), 1 << 30),
        "log": LogScreen(log),
    }
    app = StillPlayground("playground-dark", chosen=True, snapshot=FULL)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.push_screen(opened[dialog])
        await wait_until(pilot, lambda: any("evil" in line for line in drawn(app)))
        assert raw(app) == []


async def test_the_guard_keeps_the_width_of_what_a_widget_forgets() -> None:
    """Invisible characters leave nothing, visible ones a replacement of the same width."""
    segments = [Segment("a\u202e漢\u2028\x1bb"), Segment("plain")]
    shown = SafeLines().apply(segments, Color(0, 0, 0))
    assert sum(segment.cell_length for segment in shown) == sum(segment.cell_length for segment in segments)
    assert "".join(segment.text for segment in shown).startswith("a漢")
    assert displayable(shown[0].text) == shown[0].text
