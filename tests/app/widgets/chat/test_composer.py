"""The composer: attachments, long pastes, prompt history, and the draft kept across runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from app.state.conversation.attachment import Attachment
from app.state.conversation.prompt_history import keep_prompt, read_prompts
from app.state.settings.paths import draft_file, prompt_history_file
from app.widgets.chat.attachment_list import AttachmentItem
from app.widgets.chat.composer import Composer
from tests.app.driving import toasts, wait_until
from tests.app.still import StillPlayground, chat_answered

NOTES = Attachment("notes.txt", "one\ntwo\n")
LONG = "".join(f"line {number}\n" for number in range(240))


def still() -> StillPlayground:
    return StillPlayground("playground-dark", chosen=True)


async def composer(pilot: Pilot[None]) -> Composer:
    """Return the focused composer of a chat with an answer."""
    await chat_answered(pilot)
    await wait_until(
        pilot, lambda: all(worker.is_finished for worker in pilot.app.workers if worker.group == "prompt")
    )
    found = pilot.app.screen.query_one(Composer)
    found.box.focus()
    return found


def attachment_lines(pilot: Pilot[None]) -> list[str]:
    return [str(item.content) for item in pilot.app.screen.query(AttachmentItem)]


async def paste(pilot: Pilot[None], text: str) -> None:
    pilot.app.post_message(events.Paste(text))
    await pilot.pause()
    await pilot.pause()


async def test_attachments_are_removed_by_key_and_by_click() -> None:
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        await prompt.attach(NOTES)
        await prompt.attach(Attachment("[b]odd\x1b.txt", "x"))
        await pilot.pause()
        assert [text.split("  ")[0] for text in attachment_lines(pilot)] == [
            "▤ notes.txt, 2 lines",
            "▤ [b]odd�.txt, 1 line",
        ]
        assert "as text" not in " ".join(attachment_lines(pilot))
        await pilot.press("shift+tab", "delete")
        await pilot.pause()
        assert prompt.attachments == (NOTES,)
        assert prompt.box.has_focus
        await pilot.press("backspace")
        await wait_until(pilot, lambda: isinstance(pilot.app.focused, AttachmentItem))
        await pilot.press("backspace")
        await wait_until(pilot, lambda: not prompt.attachments)
        await prompt.attach(NOTES)
        await pilot.pause()
        await pilot.click(AttachmentItem, offset=(attachment_lines(pilot)[0].index("✕"), 0))
        await wait_until(pilot, lambda: not prompt.attachments)
        assert not pilot.app.screen.query_one("#attachments").display


async def test_the_same_file_is_attached_once() -> None:
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        await prompt.attach(NOTES)
        await prompt.attach(Attachment("notes.txt", "one\ntwo\n"))
        assert prompt.attachments == (NOTES,)


@pytest.mark.parametrize("how", ["key", "click"])
async def test_a_long_paste_is_attached_and_can_be_inserted_as_text(how: str) -> None:
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        await pilot.press("a")
        await paste(pilot, "short")
        await paste(pilot, LONG.replace("\n", "\r\n"))
        assert prompt.box.text == "ashort"
        [line] = attachment_lines(pilot)
        assert "pasted, 240 lines" in line
        if how == "key":
            await pilot.press("shift+tab", "enter")
        else:
            await pilot.click(AttachmentItem, offset=(line.index("as text"), 0))
        await pilot.pause()
        assert prompt.box.text == "ashort" + LONG
        assert not prompt.attachments
        third = pilot.app.size.height // 3
        await wait_until(pilot, lambda: 3 < prompt.box.outer_size.height <= third)
        prompt.box.clear()
        await wait_until(pilot, lambda: prompt.box.outer_size.height == 3)


async def test_pasting_the_app_clipboard_follows_the_same_rules() -> None:
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        pilot.app.copy_to_clipboard(LONG)
        await pilot.press("ctrl+v")
        await pilot.pause()
        assert (prompt.box.text, len(prompt.attachments)) == ("", 1)
        pilot.app.copy_to_clipboard("short")
        await pilot.press("ctrl+v")
        assert prompt.box.text == "short"


async def test_a_paste_above_the_limit_is_refused_with_a_message() -> None:
    async with still().run_test(size=(80, 24), notifications=True) as pilot:
        prompt = await composer(pilot)
        await paste(pilot, "x" * 1_100_000)
        assert not prompt.attachments
        assert "1 MiB" in toasts(pilot.app)
        await paste(pilot, "x" * 60_000)
        assert "as text" not in attachment_lines(pilot)[0]  # a text area of this size would be slow
        await pilot.press("shift+tab", "enter")
        await pilot.pause()
        assert len(prompt.attachments) == 1


async def test_up_and_down_recall_prompts_of_earlier_runs(own_folders: Path) -> None:
    keep_prompt(prompt_history_file(), "first")
    keep_prompt(prompt_history_file(), "second\nwith two lines")
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        await pilot.press(*"unsent", "up")
        assert prompt.box.text == "second\nwith two lines"
        await pilot.press("up", "up")
        assert prompt.box.text == "first"
        await pilot.press("down", "down", "down")
        assert prompt.box.text == "unsent"
        await pilot.press("ctrl+j", "x", "up")
        assert prompt.box.text == "unsent\nx"  # the arrow moved inside the text
    assert len(read_prompts(prompt_history_file())) == 2


async def test_up_moves_within_a_wrapped_line() -> None:
    keep_prompt(prompt_history_file(), "before")
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        words = "word " * 40
        prompt.box.write(words)
        await pilot.pause()
        await pilot.press("up")
        assert prompt.box.text == words
        await pilot.press("up", "up", "up")
        assert prompt.box.text == "before"


async def test_an_unsent_draft_is_restored_in_the_next_run() -> None:
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        await prompt.attach(NOTES)
        await pilot.press(*"why", "ctrl+j", *"not")
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        await wait_until(pilot, lambda: prompt.box.text == "why\nnot")
        assert prompt.attachments == (NOTES,)
        prompt.box.clear()
        await pilot.press("shift+tab", "delete")
    assert not draft_file().exists()


async def test_an_edit_keeps_the_draft() -> None:
    """Esc restores the draft, also after editing twice."""
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        await prompt.attach(NOTES)
        await pilot.press(*"why")
        await pilot.pause()
        for _ in range(2):
            await pilot.app.run_action("screen.edit_last")
            await pilot.pause()
            assert (prompt.box.text, prompt.attachments) == ("What is a KV cache?", ())
            assert prompt.box.border_title
        await pilot.press("escape")
        await pilot.pause()
        assert (prompt.box.text, prompt.attachments) == ("why", (NOTES,))
        assert not prompt.box.border_title
        await pilot.app.run_action("screen.edit_last")
    async with still().run_test(size=(80, 24)) as pilot:
        prompt = await composer(pilot)
        assert prompt.box.text == "why"
