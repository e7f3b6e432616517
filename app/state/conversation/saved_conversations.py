"""The saved conversations: list them, search them, delete one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from app.state.conversation.conversation import Conversation
from app.state.conversation.record import Record, read_record
from app.state.settings.file_lock import Lease, remove_lease_file

AROUND = 60
"""Characters shown before and after a match."""


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
    """The engines that answered last, left and right."""
    said: str = ""
    """Every prompt and answer, older versions included."""

    def matches(self, words: list[str]) -> bool:
        """Whether every word is in the title or in the text."""
        return all(_found(word, self.title) or _found(word, self.said) for word in words)

    def excerpt(self, words: list[str]) -> str:
        """Return the text around one of the words, in one line; empty where only the title has them."""
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
    """Return the conversations of a folder, newest first; files without a turn are skipped.

    Args:
        folder: where they are.
        most: how many of the newest to return, without reading other files; None for all of them.
    """
    return list(islice(_newest_first(folder), most))


def _newest_first(folder: Path) -> Iterator[SavedConversation]:
    for changed, path in sorted(_files(folder), reverse=True):
        with suppress(OSError):
            record = read_record(path)
            if turns := len(record.longest.turns):
                yield SavedConversation(path, record.title, turns, changed, _engines(record), _said(record))


def _files(folder: Path) -> Iterator[tuple[float, Path]]:
    """Yield every file with the time of its last change."""
    for path in folder.glob("*.jsonl"):
        with suppress(OSError):
            yield path.stat().st_mtime, path


def matching(saved: list[SavedConversation], search: str) -> list[SavedConversation]:
    """Return those that contain every word of `search`, in upper or lower case."""
    words = search.split()
    return [one for one in saved if one.matches(words)]


def delete_conversation(path: Path) -> None:
    """Delete a conversation for good.

    Raises:
        FileInUseError: another app has it open.
        OSError: the file cannot be deleted.
    """
    with Lease(path):
        path.unlink(missing_ok=True)
        remove_lease_file(path)


def _found(word: str, text: str) -> re.Match[str] | None:
    return re.search(re.escape(word), text, re.IGNORECASE)


def _engines(record: Record) -> tuple[str, ...]:
    return tuple(_engine(conversation) for conversation in record.sides.values())


def _engine(conversation: Conversation) -> str:
    return next((turn.engine for turn in reversed(conversation.turns) if turn.engine), "")


def _said(record: Record) -> str:
    turns = [turn for conversation in record.sides.values() for turn in conversation.all_turns]
    return "\n".join(text for turn in turns for text in (turn.content, turn.thought, turn.answer))
