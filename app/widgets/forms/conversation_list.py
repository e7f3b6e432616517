"""The saved conversations as a list: title, when, how long, which engines, and what a search found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from app.state.conversation.saved_conversations import SavedConversation
from app.state.side.pacing import displayable
from app.units import count_text


@dataclass(frozen=True)
class ConversationEntry:
    """A conversation, and where a search found its words."""

    saved: SavedConversation
    excerpt: str = ""


class ConversationList(OptionList):
    """Two lines a conversation, three while one is searched for."""

    BINDINGS = [Binding("enter", "select", "Reopen", id="conversations.reopen")]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(id="conversations")
        self._entries: Sequence[ConversationEntry] = ()

    @property
    def chosen(self) -> SavedConversation | None:
        """The highlighted conversation."""
        return None if self.highlighted is None else self._entries[self.highlighted].saved

    def on_click(self, event: events.Click) -> None:
        """The first click highlights, so that the keys in the footer can be clicked for it."""
        place = event.style.meta.get("option")
        if place is not None and place != self.highlighted:
            event.prevent_default()
            self.highlighted = place

    def show(self, entries: Sequence[ConversationEntry], words: Sequence[str], current: Path | None) -> None:
        """List these; what was highlighted stays so, or what takes its place does."""
        place, before = self.highlighted or 0, self.chosen
        self._entries = entries
        self.set_options([Option(_lines(entry, words, entry.saved.path == current)) for entry in entries])
        paths = [entry.saved.path for entry in entries]
        if before and before.path in paths:
            place = paths.index(before.path)
        self.highlighted = min(place, len(paths) - 1) if paths else None
        self.display = bool(paths)


def _lines(entry: ConversationEntry, words: Sequence[str], current: bool) -> Content:
    saved = entry.saved
    title = _marked(saved.title, words).stylize_before("bold")
    if current:
        title = Content.assemble(title, ("  in the chat now", "$accent"))
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
    """The text with the words that were searched for underlined."""
    content = Content(displayable(text))
    for word in words:
        for found in re.finditer(re.escape(word), content.plain, re.IGNORECASE):
            content = content.stylize("bold underline", found.start(), found.end())
    return content
