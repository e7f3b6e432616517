"""The saved conversations as a list: title, date, number of turns, engines, and search excerpts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.widgets.option_list import Option

from app.state.conversation.saved_conversations import SavedConversation
from app.terminal_text import displayable
from app.units import count_text
from app.widgets.marked_lists import MarkedOptionList


@dataclass(frozen=True)
class ConversationEntry:
    """A saved conversation, with an excerpt around the words that a search found."""

    saved: SavedConversation
    excerpt: str = ""


class ConversationList(MarkedOptionList):
    """A list with two lines for each conversation, three for search results."""

    BINDINGS = [Binding("enter", "select", "Reopen", id="conversations.reopen")]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(id="conversations")
        self._entries: Sequence[ConversationEntry] = ()

    @property
    def chosen(self) -> SavedConversation | None:
        """Return the highlighted conversation."""
        return None if self.highlighted is None else self._entries[self.highlighted].saved

    def on_click(self, event: events.Click) -> None:
        """Highlight with the first click, reopen with the second: footer keys need a highlighted entry."""
        index = event.style.meta.get("option")
        if index is not None and index != self.highlighted:
            event.prevent_default()
            self.highlighted = index

    def show(self, entries: Sequence[ConversationEntry], words: Sequence[str], current: Path | None) -> None:
        """List `entries`; keep the highlighted conversation, or else the highlighted position.

        Args:
            entries: The conversations, in order.
            words: Search words to underline.
            current: File of the conversation in the chat.
        """
        index, before = self.highlighted or 0, self.chosen
        self._entries = entries
        self.set_options([Option(_lines(entry, words, entry.saved.path == current)) for entry in entries])
        paths = [entry.saved.path for entry in entries]
        if before and before.path in paths:
            index = paths.index(before.path)
        self.highlighted = min(index, len(paths) - 1) if paths else None
        self.display = bool(paths)


def _lines(entry: ConversationEntry, words: Sequence[str], current: bool) -> Content:
    saved = entry.saved
    title = _marked(saved.title, words).stylize_before("bold")
    if current:
        title = Content.assemble(title, ("  open in the chat", "$accent"))
    lines = [title, _facts(saved)]
    if entry.excerpt:
        lines.append(_marked(entry.excerpt, words))
    return Content("\n").join(lines)


def _facts(saved: SavedConversation) -> Content:
    changed = datetime.fromtimestamp(saved.changed).astimezone().strftime("%Y-%m-%d %H:%M")
    turns = f"{count_text(saved.turns)} turn{'' if saved.turns == 1 else 's'}"
    facts = Content.styled(f"{changed} · {turns}", "$foreground-muted")
    for engine, colour in zip(saved.engines, ("$left", "$right"), strict=False):
        if engine:
            facts = Content.assemble(facts, (" · ", "$foreground-muted"), (displayable(engine), colour))
    return facts


def _marked(text: str, words: Sequence[str]) -> Content:
    """Return `text` with the search words underlined."""
    content = Content(displayable(text))
    for word in words:
        for found in re.finditer(re.escape(word), content.plain, re.IGNORECASE):
            content = content.stylize("bold underline", found.start(), found.end())
    return content
