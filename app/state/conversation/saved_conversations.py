"""The saved conversations: what there is, what holds certain words, and how one is deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from app.state.conversation.conversation import Conversation
from app.state.conversation.conversation_file import Record, read_record

AROUND = 60
"""Characters shown on both sides of what was found."""


@dataclass(frozen=True)
class SavedConversation:
    """One entry of the list."""

    path: Path
    title: str
    """The name that the user gave it, else the first prompt."""
    turns: int
    """Of the side that has more."""
    changed: float
    """Seconds since 1970."""
    engines: tuple[str, ...] = ()
    """Which answered last, left and right."""
    said: str = ""
    """Every prompt and answer, older versions included."""

    def holds(self, words: list[str]) -> bool:
        """Whether title and text have every one of the words."""
        return all(_found(word, self.title) or _found(word, self.said) for word in words)

    def excerpt(self, words: list[str]) -> str:
        """Where one of the words was said, in one line; empty where only the title has them."""
        found = next((match for word in words if (match := _found(word, self.said))), None)
        if found is None:
            return ""
        start, end = max(0, found.start() - AROUND), found.end() + AROUND
        before = self.said[start : found.start()]
        if start:  # not from the middle of a word
            before = f"… {before.partition(' ')[2]}"
        shown = " ".join((before + self.said[found.start() : end]).split())
        return f"{shown}{' …' * (end < len(self.said))}"


def saved_conversations(folder: Path, most: int | None = None) -> list[SavedConversation]:
    """What is in the folder, newest first; files that hold no turn are left out.

    Args:
        folder: where they are.
        most: so many of the newest, and no other file is read; None for all of them.
    """
    return list(islice(_newest_first(folder), most))


def _newest_first(folder: Path) -> Iterator[SavedConversation]:
    for changed, path in sorted(_files(folder), reverse=True):
        with suppress(OSError):
            record = read_record(path)
            if turns := len(record.longest.turns):
                yield SavedConversation(path, record.title, turns, changed, _engines(record), _said(record))


def _files(folder: Path) -> Iterator[tuple[float, Path]]:
    """Every file with the time of its last change."""
    for path in folder.glob("*.jsonl"):
        with suppress(OSError):
            yield path.stat().st_mtime, path


def matching(saved: list[SavedConversation], search: str) -> list[SavedConversation]:
    """Those that hold every word of `search`, large and small letters alike."""
    words = search.split()
    return [one for one in saved if one.holds(words)]


def delete_conversation(saved: SavedConversation) -> None:
    """Delete it for good.

    Raises:
        OSError: the file cannot be deleted.
    """
    saved.path.unlink(missing_ok=True)


def _found(word: str, text: str) -> re.Match[str] | None:
    return re.search(re.escape(word), text, re.IGNORECASE)


def _engines(record: Record) -> tuple[str, ...]:
    return tuple(_engine(conversation) for conversation in record.sides.values())


def _engine(conversation: Conversation) -> str:
    return next((turn.engine for turn in reversed(conversation.turns) if turn.engine), "")


def _said(record: Record) -> str:
    turns = [turn for conversation in record.sides.values() for turn in conversation.all_turns]
    return "\n".join(text for turn in turns for text in (turn.content, turn.answer))
