"""The context window with real engines: token counts while typing, trimming, refusing, attachments."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from textual.pilot import Pilot

from app.state.conversation.attachment import Attachment
from app.state.conversation.conversation import Turn
from app.state.conversation.conversation_file import read_record
from app.state.conversation.export import exported
from app.state.conversation.prompt_history import read_prompts
from app.state.conversation.saved_conversations import matching, saved_conversations
from app.state.settings.paths import conversation_folder, prompt_history_file
from app.state.settings.settings import ContextFull, EngineChoice, Settings
from app.state.side.phase import Phase
from app.widgets.chat.attachment_list import AttachmentItem
from app.widgets.chat.composer import Composer
from engines.worker.protocol import Sampling
from tests.app.driving import ask, playground, sampled, until_answered, until_ready, wait_until
from tests.app.screens.test_chat import shown_text

PYTORCH = EngineChoice("pytorch", "fp32")
NOTES = Attachment("notes.md", "".join(f"The number {number} is written here.\n" for number in range(12)))


def small(settings: Settings, full: ContextFull) -> Settings:
    """Return settings with PyTorch on both sides and a context window that a few turns fill."""
    short = sampled(settings, Sampling(max_tokens=12, ignore_eos=True))
    return replace(short, left=PYTORCH, right=PYTORCH, context=160, context_full=full)


def counter(pilot: Pilot[None]) -> str:
    """Return the token count in the border of the prompt."""
    return str(pilot.app.screen.query_one(Composer).box.border_subtitle or "")


async def counted(pilot: Pilot[None], text: str) -> str:
    """Type `text` and return the token count for it."""
    box = pilot.app.screen.query_one(Composer).box
    box.clear()
    await wait_until(pilot, lambda: not counter(pilot))
    box.write(text)
    await wait_until(pilot, lambda: bool(counter(pilot)))
    return counter(pilot)


async def test_the_count_while_typing_is_the_size_of_the_prompt(settings: Settings) -> None:
    """For the first and the second turn; an empty prompt shows no count."""
    app = playground(settings)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press(*"Hi")
        assert app.left.phase is not Phase.READY
        assert counter(pilot) == ""
        await until_ready(pilot)
        await wait_until(pilot, lambda: bool(counter(pilot)))  # without another key press
        for text in ("Hello", "And now?"):
            count = await counted(pilot, text)
            await pilot.press("enter")
            await until_answered(pilot)
            left, right = (side.conversation.turns[-1] for side in app.sides)
            assert left.prompt == text
            if left.prompt_tokens == right.prompt_tokens:
                assert count == f"{left.prompt_tokens} of 512 tokens"
            else:
                assert count == f"left {left.prompt_tokens}, right {right.prompt_tokens} of 512 tokens"
            assert counter(pilot) == ""


async def test_tokens_are_counted_while_answering(settings: Settings) -> None:
    long = Sampling(max_tokens=400, ignore_eos=True)
    app = playground(sampled(replace(settings, left=PYTORCH, right=PYTORCH), long))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        await pilot.press(*"Hello", "enter")
        await wait_until(pilot, lambda: app.left.phase is Phase.DECODE)
        assert "of 512 tokens" in await counted(pilot, "Next")
        await pilot.press("escape")
        await until_answered(pilot)


async def test_attachments_are_counted_sent_shown_and_saved(settings: Settings) -> None:
    app = playground(settings)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        composer = app.screen.query_one(Composer)
        await composer.attach(NOTES)
        await wait_until(pilot, lambda: "tokens" in str(pilot.app.screen.query_one(AttachmentItem).content))
        await wait_until(pilot, lambda: bool(counter(pilot)))
        alone = counter(pilot)
        await ask(pilot, "Which numbers?")
        for side in app.sides:
            turn = side.conversation.turns[-1]
            assert turn.attachments == (NOTES,)
            assert turn.prompt_tokens > int(alone.split()[0])
            assert side.conversation.messages()[-1]["content"] == turn.content
            assert turn.content.startswith("notes.md:\n```\nThe number 0")
            assert turn.content.endswith("```\n\nWhich numbers?")
        shown = shown_text(app, "left")
        assert "notes.md, 12 lines" in shown
        assert "The number 3" not in shown
        assert not composer.attachments
        await pilot.press("ctrl+r")  # the same prompt with the same attachment
        await until_answered(pilot)
        assert [one.attachments for one in app.left.conversation.versions(0)] == [(NOTES,)] * 2
        await app.run_action("screen.edit_last")
        await pilot.pause()
        assert composer.attachments == (NOTES,)
        await pilot.press("shift+tab", "delete")
        await wait_until(pilot, lambda: not composer.attachments)
        await pilot.press("exclamation_mark", "enter")
        await wait_until(pilot, lambda: len(app.left.conversation.versions(0)) == 3)
        await until_answered(pilot)
        assert app.right.conversation.turns[-1].asked == ("Which numbers?!", ())
    [saved] = saved_conversations(conversation_folder())
    assert matching([saved], "number 11 written")
    record = read_record(saved.path)
    record.sides["left"].choose(0)
    assert record.sides["left"].turns[0].attachments == (NOTES,)
    assert b"> The number 3 is written here." in exported(record, ".md")
    assert b'"name":"notes.md"' in exported(record, ".json")
    assert read_prompts(prompt_history_file()) == ["Which numbers?", "Which numbers?!"]


async def test_attachments_alone_can_be_sent(settings: Settings) -> None:
    app = playground(settings)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_ready(pilot)
        await app.screen.query_one(Composer).attach(Attachment("", "one\ntwo"))
        await ask(pilot, "")
        assert app.right.conversation.turns[-1].content == "Pasted text:\n```\none\ntwo\n```"
        await pilot.press("x", "enter", "enter")  # pressed twice, sent once
        await until_answered(pilot)
        assert [turn.prompt for turn in app.left.conversation.turns] == ["", "x"]
    [saved] = saved_conversations(conversation_folder())
    assert saved.title == "pasted, 2 lines"


async def test_the_oldest_turns_are_dropped_with_a_note(settings: Settings) -> None:
    """A conversation longer than the context window continues and shows a note, also when reopened."""
    app = playground(small(settings, ContextFull.TRIM))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        turns = app.left.conversation.turns
        while not turns or not turns[-1].left_out:
            await ask(pilot, f"This is question number {len(turns)}, and it is not the last one.")
            assert turns[-1].answer
            assert len(turns) < 12
        for side in app.sides:
            last = side.conversation.turns[-1]
            assert last.answer
            assert last.error is None
            assert 0 < last.left_out < len(turns)
            assert last.prompt_tokens <= 160 * 7 // 8
            assert left_out(last) in " ".join(shown_text(app, side.name).split())
        assert "left out" in await counted(pilot, "Next")
        await pilot.press("ctrl+y")
        kept = app.left.conversation.turns[-1].left_out
    [saved] = saved_conversations(conversation_folder())
    record = read_record(saved.path)
    assert record.sides["left"].turns[-1].left_out == kept
    assert left_out(record.sides["left"].turns[-1]) in exported(record, ".md").decode()
    again = playground(small(settings, ContextFull.TRIM), conversation=saved.path)
    async with again.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        assert left_out(record.sides["right"].turns[-1]) in " ".join(shown_text(again, "right").split())


def left_out(turn: Turn) -> str:
    turns = "turn was" if turn.left_out == 1 else f"{turn.left_out} turns were"
    return f"the first {turns} left out: the context holds 160 tokens"


async def test_too_long_prompts_are_marked_then_refused(settings: Settings, tmp_path: Path) -> None:
    app = playground(small(settings, ContextFull.REFUSE))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        box = app.screen.query_one(Composer).box
        long = "word " * 400
        await counted(pilot, "word " * 35)
        assert box.has_class("-near")
        assert (await counted(pilot, long)).endswith("of 160 tokens: too long")
        assert box.has_class("-over")
        await ask(pilot, long)
        for side in app.sides:
            error = side.conversation.turns[-1].error
            assert error
            assert error.code == "context-full"
            assert "F6" in error.hint
        app.change_settings(context_full=ContextFull.TRIM)
        await ask(pilot, "Short")
        assert app.right.conversation.turns[-1].answer
        await ask(pilot, long)
        error = app.right.conversation.turns[-1].error
        assert error
        assert error.message.startswith("The prompt alone is")


async def test_the_count_follows_the_conversation(settings: Settings) -> None:
    """Swapping the sides or clearing the conversation counts again without a key press in the prompt."""
    app = playground(sampled(settings, Sampling(max_tokens=8, ignore_eos=True)))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "One")
        before = await counted(pilot, "Next")
        app.left.conversation.turns[0].answer += " And some more words on this side only."
        await app.screen.run_action("swap")
        await wait_until(pilot, lambda: counter(pilot) != before)
        swapped = counter(pilot)
        assert swapped.startswith("left ")
        await pilot.press("ctrl+n")
        await wait_until(pilot, lambda: counter(pilot) not in (before, swapped))
        assert counter(pilot).endswith(" of 512 tokens")
        assert "left" not in counter(pilot)
