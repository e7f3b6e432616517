"""Conversations: the saved ones, to search, continue, rename, export and delete."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import shorten

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Header, Input, OptionList, Static

from app.screens.chat import ChatScreen
from app.screens.export import ask_and_export
from app.screens.name import NameScreen
from app.screens.playground_screen import PlaygroundScreen
from app.state.conversation.conversation_file import Record, read_record, rename_conversation
from app.state.conversation.saved_conversations import (
    SavedConversation,
    delete_conversation,
    matching,
    saved_conversations,
)
from app.state.settings.paths import conversation_folder
from app.state.side.phase import ANSWERING
from app.terminal_text import displayable
from app.widgets.forms.confirm_twice import ConfirmTwice
from app.widgets.forms.conversation_list import ConversationEntry, ConversationList
from app.widgets.key_footer import KeyFooter

LISTED = 200
"""The newest ones: a longer list slows down every key of a search."""
NOTHING = """\
No conversations yet.

Every prompt and answer is saved, and listed here.
Esc goes back to the chat."""


class ConversationsScreen(PlaygroundScreen):
    """A search box above the list."""

    TITLE = "Conversations"
    CSS_PATH = "../styles/conversations.tcss"
    AUTO_FOCUS = "ConversationList"
    HELP = """\
# Conversations

Newest first. **Enter** continues one: both sides show it, the engines stay loaded. The search covers titles
and messages. **P** replays one as it was recorded, without any engine. **Delete**, pressed twice, removes
one for good.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("slash", "search", "Search", id="conversations.search", key_display="/"),
        Binding("n", "new", "New", id="conversations.new"),
        Binding("p", "replay", "Replay", id="conversations.replay"),
        Binding("r", "rename", "Rename", id="conversations.rename"),
        Binding("e", "export", "Export", id="conversations.export"),
        Binding("d,delete", "delete", "Delete", id="conversations.delete"),
        Binding("down", "to_list", show=False),
        Binding("escape,f3", "back", "Back", id="conversations.back"),
    ]
    _saved: list[SavedConversation] = []  # noqa: RUF012 - replaced as a whole

    def __init__(self) -> None:
        super().__init__()
        self._pending_delete = ConfirmTwice(self)

    def compose(self) -> ComposeResult:
        """Search, list, and how many there are."""
        yield Header()
        yield Input(placeholder="/ search titles and messages", compact=True)
        yield ConversationList()
        yield Static(id="conversations-note", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the files."""
        self.list_saved()

    @property
    def chosen(self) -> SavedConversation | None:
        """The highlighted conversation; also asked for while the list is composed or removed."""
        return next((one.chosen for one in self.query(ConversationList)), None)

    @work(group="list", exclusive=True, exit_on_error=False)
    async def list_saved(self) -> None:
        """Read the files again, in a thread."""
        self._saved = await asyncio.to_thread(saved_conversations, conversation_folder())
        await self._show()

    @on(Input.Changed)
    @work(group="search", exclusive=True, exit_on_error=False)
    async def search(self) -> None:
        """List the conversations that contain all words."""
        await self._show()

    async def _show(self) -> None:
        search = self.query_one(Input).value
        found, entries = await asyncio.to_thread(_found, self._saved, search)
        self.query_one(Input).display = bool(self._saved)
        self.query_one(ConversationList).show(entries, search.split(), self.playground.history.path)
        self.query_one("#conversations-note", Static).update(self._note(search, found))
        self.refresh_bindings()

    def _note(self, search: str, found: int) -> str:
        every = f"{len(self._saved)} conversation{'' if len(self._saved) == 1 else 's'}"
        if not self._saved:
            return NOTHING
        if not search.split():
            newest = f" The {LISTED} newest are listed; the search covers all." if found > LISTED else ""
            return f"{every}, in {displayable(str(conversation_folder()))}.{newest}"
        return f"{found} of {every}. Enter reopens, ↓ goes to the list, Esc ends the search."

    def action_search(self) -> None:
        """Focus the search box."""
        self.query_one(Input).focus()

    def action_to_list(self) -> None:
        """Focus the list."""
        self.query_one(ConversationList).focus()

    def action_back(self) -> None:
        """End the search, then leave."""
        search = self.query_one(Input)
        if search.value or search.has_focus:
            search.clear()
            self.action_to_list()
        else:
            self.dismiss()

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    @work(group="reopen", exclusive=True, exit_on_error=False)
    async def reopen(self) -> None:
        """Continue the highlighted conversation on both sides."""
        if (saved := self.chosen) and not self._must_wait() and (record := await self._read(saved)):
            self._continue(record, saved.path)
            self.playground.show_chat()

    def action_new(self) -> None:
        """Start a new conversation; the old one stays saved."""
        if not self._must_wait():
            self._continue(Record(), None)
            self.playground.show_chat()

    def _must_wait(self) -> bool:
        """Return whether a side answers; if so, show a message."""
        answering = any(side.phase in ANSWERING for side in self.playground.sides)
        if answering:
            words = "Still answering. Press Esc for the chat, and Esc there to stop."
            self.notify(words, severity="warning")
        return answering

    def _continue(self, record: Record, path: Path | None) -> None:
        self.playground.open_conversation(record, path)
        for screen in self.app.screen_stack:
            if isinstance(screen, ChatScreen):  # the first start has none yet
                screen.show_conversations()

    @work(group="replay", exclusive=True, exit_on_error=False)
    async def action_replay(self) -> None:
        """Replay it as it was recorded; no engine is used."""
        if (saved := self.chosen) and (record := await self._read(saved)):
            from app.screens.replay import ReplayScreen

            await self.app.push_screen(ReplayScreen(record))

    @work(group="name", exclusive=True, exit_on_error=False)
    async def action_rename(self) -> None:
        """Ask for a title; an empty one restores the first prompt as the title."""
        if (saved := self.chosen) is None:
            return
        question = NameScreen("Conversation title", lambda _: "", saved.title[:60])
        name = await self.app.push_screen_wait(question)
        if name is None:
            return
        try:
            if saved.path == self.playground.history.path:
                await asyncio.to_thread(self.playground.history.append_name, name)
            else:
                await asyncio.to_thread(rename_conversation, saved.path, name)
        except OSError as error:
            self._complain("The title cannot be saved", error)
        self.list_saved()

    @work(group="name", exclusive=True, exit_on_error=False)
    async def action_export(self) -> None:
        """Write it as Markdown or JSON."""
        if (saved := self.chosen) and (record := await self._read(saved)):
            await ask_and_export(self.app, record)

    def action_delete(self) -> None:
        """Delete the highlighted conversation when the key is pressed twice: it cannot be undone."""
        saved = self.chosen
        shown = saved is not None and saved.path == self.playground.history.path
        if saved is None or (shown and self._must_wait()):
            return
        if self._pending_delete.press(saved.path):
            self._delete(saved, shown)
            return
        also = " The chat shows it now and will be empty." if shown else ""
        title = displayable(shorten(saved.title, 60, placeholder=" …"))
        words = f"Press again to delete “{title}” for good.{also}"
        self.notify(words, severity="warning", markup=False)

    @work(group="delete", exit_on_error=False)
    async def _delete(self, saved: SavedConversation, shown: bool) -> None:
        try:
            await asyncio.to_thread(delete_conversation, saved.path)
        except OSError as error:
            self._complain("It cannot be deleted", error)
        else:
            if shown:
                self._continue(Record(), None)
        self.list_saved()

    @on(OptionList.OptionHighlighted)
    def reset_confirmation(self) -> None:
        """Ask again once another conversation is highlighted."""
        self._pending_delete.select(self.chosen.path if self.chosen else None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show keys only when there is a conversation for them."""
        if action in ("replay", "rename", "export", "delete"):
            return self.chosen is not None
        if action == "search":
            return bool(self._saved) and not any(one.has_focus for one in self.query(Input))
        return True

    async def _read(self, saved: SavedConversation) -> Record | None:
        try:
            return await asyncio.to_thread(read_record, saved.path)
        except OSError as error:
            self._complain("It cannot be read", error)
            self.list_saved()
            return None

    def _complain(self, what: str, error: OSError) -> None:
        self.notify(f"{what}: {displayable(str(error))}", severity="error", markup=False)


def _found(saved: list[SavedConversation], search: str) -> tuple[int, list[ConversationEntry]]:
    """Return how many contain all words, and the newest of them."""
    found = matching(saved, search)
    return len(found), [ConversationEntry(one, one.excerpt(search.split())) for one in found[:LISTED]]
