"""The Conversations screen: list, search, reopen, new, rename, export, delete."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input, Static

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.conversations import ConversationsScreen
from app.screens.export import ExportScreen
from app.screens.models import ModelsScreen
from app.screens.name import NameScreen
from app.state.conversation.conversation import Conversation
from app.state.conversation.conversation_file import ConversationFile
from app.state.conversation.saved_conversations import saved_conversations
from app.state.settings.paths import conversation_folder, document_folder
from app.state.settings.settings import EngineChoice, Settings
from app.state.side.phase import Phase
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from app.widgets.forms.conversation_list import ConversationList
from engines.backends.registry import BACKENDS
from engines.worker.process import EngineProcess
from engines.worker.protocol import Sampling
from tests.app import still
from tests.app.driving import ask, playground, sampled, toasts, until_answered, until_ready, wait_until
from tests.app.still import StillPlayground
from tests.doubles import paced_worker

PROMPTS = ("What is a KV cache?", "Tell me a story about a lamp, and make it long enough for two lines.")

OVERWRITE = "File exists. Press Enter again to overwrite."


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documents folder."""
    monkeypatch.setenv("XDG_DOCUMENTS_DIR", str(tmp_path / "Documents"))
    return document_folder()


@pytest.fixture
def saved() -> list[Path]:
    """Two saved conversations, newest first."""
    paths = []
    for age, prompt in enumerate(PROMPTS):
        file = ConversationFile(conversation_folder())
        for name in ("left", "right"):
            conversation = Conversation()
            conversation.add(still.turn(name, prompt))
            file.append_turn(name, conversation)
        assert file.path
        os.utime(file.path, (1_790_000_000 - 90_000 * age,) * 2)
        paths.append(file.path)
    return paths


def titles(app: Playground) -> list[str]:
    """Return the titles in the list."""
    listed = app.screen.query_one(ConversationList)
    return [str(listed.get_option_at_index(index).prompt) for index in range(listed.option_count)]


async def see(pilot: Pilot[None], *texts: str) -> None:
    """Wait until the list has exactly one entry for each of `texts`, in this order."""
    app = pilot.app
    assert isinstance(app, Playground)

    def seen() -> bool:
        listed = titles(app) if isinstance(app.screen, ConversationsScreen) else ["nothing"]
        return len(listed) == len(texts) and all(map(str.__contains__, listed, texts))

    await wait_until(pilot, seen)


@asynccontextmanager
async def opened(size: tuple[int, int] = (100, 30)) -> AsyncIterator[tuple[StillPlayground, Pilot[None]]]:
    """Open the conversations over a chat without engines."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("f3")
        await wait_until(pilot, lambda: isinstance(app.screen, ConversationsScreen))
        yield app, pilot


async def test_enter_reopens_both_sides(saved: list[Path]) -> None:
    async with opened() as (app, pilot):
        await see(pilot, *PROMPTS)
        await pilot.press("down", "enter")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert [side.conversation.turns[0].prompt for side in app.sides] == [PROMPTS[1]] * 2
        assert app.history.path == saved[1]
        assert [len(pane.transcript.turns) for pane in app.screen.query(Pane)] == [1, 1]
        assert app.screen.query_one("#comparison").display
        await pilot.press("f3")
        await see(pilot, PROMPTS[0], "open in the chat")
        await pilot.press("f3")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))


async def test_only_the_newest_are_listed(saved: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.screens.conversations.LISTED", 1)
    async with opened() as (app, pilot):
        await see(pilot, PROMPTS[0])
        assert "The 1 newest" in str(app.screen.query_one("#conversations-note", Static).content)
        await pilot.press("slash", *"lamp")
        await see(pilot, PROMPTS[1])


async def test_with_the_mouse(saved: list[Path]) -> None:
    """The first click highlights a conversation, the second reopens it."""
    async with opened() as (app, pilot):
        await see(pilot, *PROMPTS)
        await pilot.click(ConversationList, offset=(5, 2))
        await pilot.pause()
        assert isinstance(app.screen, ConversationsScreen)
        assert app.screen.query_one(ConversationList).highlighted == 1
        await pilot.click(ConversationList, offset=(5, 2))
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert app.left.conversation.turns[0].prompt == PROMPTS[1]


async def test_search(saved: list[Path]) -> None:
    """Typing filters the list; Enter reopens the highlighted one; Esc first ends the search, then closes."""
    async with opened() as (app, pilot):
        await see(pilot, *PROMPTS)
        await pilot.press("slash", *"LAMP")
        await see(pilot, "lamp")
        await pilot.press("escape")
        await see(pilot, *PROMPTS)
        assert app.screen.query_one(ConversationList).has_focus
        await pilot.press("slash", *"decoded token")
        await see(pilot, "each decoded token", "each decoded token")
        await pilot.press(*" x")
        await see(pilot)
        assert "0 of 2" in str(app.screen.query_one("#conversations-note", Static).content)
        await pilot.press("backspace", "backspace", "down", "down", "enter")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert app.left.conversation.turns[0].prompt == PROMPTS[1]


async def test_rename(saved: list[Path]) -> None:
    async with opened() as (app, pilot):
        await see(pilot, *PROMPTS)
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(app.screen, NameScreen))
        app.screen.query_one(Input).value = "Caches [b]explained"
        await pilot.press("enter")
        await see(pilot, "Caches [b]explained", PROMPTS[1])
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press("escape")
        await see(pilot, "Caches [b]explained", PROMPTS[1])


async def test_delete_needs_a_second_key(saved: list[Path]) -> None:
    """Deleting the open conversation clears the chat; without conversations the screen explains itself."""
    async with opened() as (app, pilot):
        await see(pilot, *PROMPTS)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await pilot.press("f3")
        await see(pilot, *PROMPTS)
        await pilot.press("d", "down", "d", "up", "d")
        assert len(saved_conversations(conversation_folder())) == 2
        assert "The chat shows it now" in toasts(app)
        await pilot.press("d")
        await see(pilot, PROMPTS[1])
        assert not app.left.conversation.turns
        assert app.history.path is None
        await pilot.press("delete", "delete")
        await see(pilot)
        assert not saved[0].exists()
        assert not saved[1].exists()
        assert "No conversations yet" in str(app.screen.query_one("#conversations-note", Static).content)
        await pilot.press("r", "e", "d", "enter", "escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))


async def test_export(saved: list[Path], documents: Path) -> None:
    """Markdown or JSON, to the documents folder; a second Enter overwrites an existing file."""
    async with opened() as (app, pilot):
        await see(pilot, *PROMPTS)
        await pilot.press("e")
        await wait_until(pilot, lambda: isinstance(app.screen, ExportScreen))
        await pilot.press("enter")
        await see(pilot, *PROMPTS)
        path = documents / "What is a KV cache.md"
        assert "172 tok/s" in path.read_text()
        await wait_until(pilot, lambda: str(path) in toasts(app))
        await pilot.press("e")
        await wait_until(pilot, lambda: isinstance(app.screen, ExportScreen))
        field, note = app.screen.query_one(Input), app.screen.query_one("#export-note", Static)
        assert field.value == str(documents / "What is a KV cache 2.md")
        await pilot.press("up")
        assert field.value.endswith(".json")
        field.value = str(path)
        path.write_text("mine")
        await pilot.press("enter")
        await wait_until(pilot, lambda: str(note.content) == OVERWRITE)
        assert path.read_text() == "mine"
        field.value = "story.txt"
        await pilot.press("enter")
        assert "End it in .md" in str(note.content)
        field.value = str(path / "below" / "a.json")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "cannot be written" in str(note.content))
        field.value = str(path.with_suffix(".json"))
        await pilot.press("enter")
        await see(pilot, *PROMPTS)
        assert json.loads(path.with_suffix(".json").read_text())["left"]["shown"] == [0]


async def test_delete_has_to_be_pressed_again_after_the_toast_is_gone(saved: list[Path]) -> None:
    async with opened() as (app, pilot):
        await see(pilot, *PROMPTS)
        app.NOTIFICATION_TIMEOUT = 0.2  # type: ignore[misc]
        await pilot.press("d")
        await wait_until(pilot, lambda: len(app.notified) == 1)
        await wait_until(pilot, lambda: not toasts(app))
        app.NOTIFICATION_TIMEOUT = 60.0  # type: ignore[misc]
        await pilot.press("d")
        await wait_until(pilot, lambda: len(app.notified) == 2)
        assert app.notified[0] == app.notified[1]
        assert saved[0].exists()
        await pilot.press("d")
        await see(pilot, PROMPTS[1])
        assert not saved[0].exists()


async def test_an_overwrite_has_to_be_confirmed_again_after_a_change_or_a_while(
    saved: list[Path], documents: Path
) -> None:
    path = documents.parent / "mine.md"
    path.write_text("mine")
    async with opened() as (app, pilot):
        await see(pilot, *PROMPTS)
        await pilot.press("e")
        await wait_until(pilot, lambda: isinstance(app.screen, ExportScreen))
        field, note = app.screen.query_one(Input), app.screen.query_one("#export-note", Static)
        field.value = str(path)
        await pilot.press("enter")
        await wait_until(pilot, lambda: str(note.content) == OVERWRITE)
        await pilot.press("x", "backspace")
        assert "Markdown" in str(note.content)
        app.NOTIFICATION_TIMEOUT = 0.2  # type: ignore[misc]
        await pilot.press("enter")
        await wait_until(pilot, lambda: str(note.content) == OVERWRITE)
        assert path.read_text() == "mine"
        await wait_until(pilot, lambda: "Markdown" in str(note.content))
        app.NOTIFICATION_TIMEOUT = 60.0  # type: ignore[misc]
        await pilot.press("enter")
        await wait_until(pilot, lambda: str(note.content) == OVERWRITE)
        assert path.read_text() == "mine"
        await pilot.press("enter")
        await see(pilot, *PROMPTS)
        assert path.read_text() != "mine"


async def test_new_and_export_of_the_open_one(saved: list[Path], documents: Path) -> None:
    async with opened() as (app, pilot):
        await see(pilot, *PROMPTS)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await app.run_action("screen.export", app.screen)
        await wait_until(pilot, lambda: isinstance(app.screen, ExportScreen))
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert (documents / "What is a KV cache.md").exists()
        await pilot.press("f3")
        await see(pilot, *PROMPTS)
        await pilot.press("n")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert not app.left.conversation.turns
        await app.run_action("screen.export", app.screen)
        await pilot.pause()
        assert "Nothing has been asked yet" in toasts(app)


async def test_reopening_on_the_first_start(saved: list[Path]) -> None:
    """Before engines are chosen there is only Prepare; conversations can be read from there."""
    app = StillPlayground("playground-dark", chosen=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.press("f3")
        await see(pilot, *PROMPTS)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await wait_until(pilot, lambda: len(app.screen.query(Pane)) == 2)
        assert [len(pane.transcript.turns) for pane in app.screen.query(Pane)] == [1, 1]


async def test_a_reopened_conversation_continues(settings: Settings) -> None:
    """With real engines: the next prompt includes the reopened turns and is saved in the same file."""
    slow = EngineChoice("pytorch", "fp32")
    settings = replace(settings, left=slow, right=slow)
    app = playground(sampled(settings, Sampling(max_tokens=4, ignore_eos=True)))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until_ready(pilot)
        await ask(pilot, "one")
        await pilot.press("ctrl+n", "f3")
        await see(pilot, "one")
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await ask(pilot, "two")
        for side in app.sides:
            first, second = side.conversation.turns
            assert second.prompt_tokens > first.prompt_tokens + len(first.token_ids) - 1
            assert second.checkpoint.startswith("tiny-llama")
        [one] = saved_conversations(conversation_folder())
        assert one.turns == 2


async def test_conversations_wait_for_the_answer(
    saved: list[Path], tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Enter, N and D change nothing while an answer arrives, here one of three tokens a second."""
    monkeypatch.setitem(BACKENDS, paced_worker.NAME, paced_worker.ENTRY)
    python = paced_worker.interpreter(tmp_path)

    async def start(backend: str, log: Path) -> EngineProcess:
        return await EngineProcess.start(backend, log, python)

    paced = EngineChoice(paced_worker.NAME, "fp32")
    settings = Settings(checkpoint=str(tiny), context=512, chosen=True, left=paced, right=paced)
    app = Playground(sampled(settings, Sampling(max_tokens=400, seed=3)), start_worker=start)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until_ready(pilot)
        app.screen.query_one(PromptInput).load_text("three")
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.left.phase is Phase.DECODE)
        await pilot.press("f3")
        await see(pilot, "three", *PROMPTS)
        await pilot.press("enter", "n", "d")
        assert isinstance(app.screen, ConversationsScreen)
        assert "Still answering" in toasts(app)
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await pilot.press("escape")
        await until_answered(pilot)


@pytest.mark.parametrize(
    ("size", "theme"),
    [((80, 24), "playground-dark"), ((120, 36), "playground-light"), ((160, 48), "playground-dark")],
)
def test_look(
    snap_compare: Callable[..., bool],
    saved: list[Path],
    size: tuple[int, int],
    theme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Matches of a search are highlighted in titles and messages."""
    monkeypatch.setattr(
        "app.screens.conversations.conversation_folder", lambda: Path("/home/you/conversations")
    )
    monkeypatch.setattr(
        "app.screens.conversations.saved_conversations", lambda _: saved_conversations(conversation_folder())
    )

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    async def before(pilot: Pilot[None]) -> None:
        await still.by_key("f3")(pilot)
        await see(pilot, *PROMPTS)
        if size[0] > 80:
            await pilot.press("slash", *"cache")
            await see(pilot, "cache", "cache")
        await still.settle(pilot)

    app: Any = StillPlayground(theme, chosen=True)
    try:
        assert snap_compare(app, terminal_size=size, run_before=before)
    finally:
        monkeypatch.undo()
        time.tzset()
