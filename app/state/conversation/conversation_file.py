"""Conversations on disk, one JSON-lines file each: a line when a prompt is sent, a line when it is answered.

A file is only ever appended to, so a crash costs the unfinished answer and nothing else. Later lines about
the same turn replace earlier ones.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from app.state.conversation.conversation import Conversation, Turn


class _Said(msgspec.Struct, tag="said", omit_defaults=True):
    """A turn as it stands."""

    side: str
    index: int
    """Number of the turn in its conversation, as they began."""
    turn: Turn
    parent: int | None = None
    """Number of the turn above. Files from before there were versions have none: it is the one before."""


class _Chosen(msgspec.Struct, tag="chosen"):
    """Another version of a turn is shown."""

    side: str
    index: int


class _Swapped(msgspec.Struct, tag="swapped"):
    """The sides changed places."""


class _Named(msgspec.Struct, tag="named"):
    """The user gave the conversation a name; an empty one takes it away."""

    name: str


_Line = _Said | _Chosen | _Swapped | _Named
_LINE: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
_OTHER = {"left": "right", "right": "left"}


@dataclass
class Record:
    """What is known of a conversation."""

    sides: dict[str, Conversation] = field(
        default_factory=lambda: {"left": Conversation(), "right": Conversation()}
    )
    name: str = ""
    """Given by the user."""

    @property
    def longest(self) -> Conversation:
        """The side with more turns; a side may have had no engine for a while."""
        return max(self.sides.values(), key=lambda conversation: len(conversation.turns))

    @property
    def title(self) -> str:
        """The name, else the first prompt or what went with it, in one line; empty while nothing was said."""
        turns = self.longest.turns
        first = turns[0].prompt or ", ".join(one.title for one in turns[0].attachments) if turns else ""
        return " ".join((self.name or first).split())


class ConversationFile:
    """Where one conversation is written. The file begins with the first prompt."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path: Path | None = None

    def said(self, side: str, conversation: Conversation) -> None:
        """Write the last turn of a side as it stands now.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        if conversation.turns:
            turn = conversation.turns[-1]
            number = conversation.number(turn)
            self._append(_Said(side, number, turn, conversation.parent(number)))

    def chose(self, side: str, number: int) -> None:
        """Note which version of a turn is shown now.

        Raises:
            OSError: as `said`.
        """
        if self.path:
            self._append(_Chosen(side, number))

    def swapped(self) -> None:
        """Note that the sides changed places.

        Raises:
            OSError: as `said`.
        """
        if self.path:
            self._append(_Swapped())

    def named(self, name: str) -> None:
        """Give the conversation a name. Its place among the others, which is by age, stays.

        Raises:
            OSError: as `said`.
        """
        if self.path:
            before = self.path.stat()
            self._append(_Named(name))
            os.utime(self.path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def reopen(self, path: Path | None) -> None:
        """Go on with a file that is there; with None the next prompt begins another one."""
        self.path = path

    def _append(self, line: _Line) -> None:
        if self.path is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.path = _fresh(self._folder)
        with self.path.open("ab+") as stream:
            # A line of its own, also after one that a crash cut off.
            stream.seek(max(0, stream.tell() - 1))
            torn = stream.read(1) not in (b"", b"\n")
            stream.write(b"\n" * torn + msgspec.json.encode(line) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def read_record(path: Path) -> Record:
    """A saved conversation; lines that cannot be read are left out.

    Raises:
        OSError: the file cannot be read.
    """
    record = Record()
    for line in _lines(path):
        if isinstance(line, _Swapped):
            record.sides = {name: record.sides[_OTHER[name]] for name in record.sides}
        elif isinstance(line, _Named):
            record.name = line.name
        elif line.side in record.sides:
            with contextlib.suppress(IndexError):  # what it belongs to is on a line that cannot be read
                _replay(line, record.sides[line.side])
    return record


def read_conversation(path: Path) -> dict[str, Conversation]:
    """Both sides of a saved conversation.

    Raises:
        OSError: the file cannot be read.
    """
    return read_record(path).sides


def _replay(line: _Said | _Chosen, conversation: Conversation) -> None:
    if isinstance(line, _Chosen):
        conversation.choose(line.index)
    else:
        parent = line.index - 1 if line.parent is None else line.parent
        conversation.record(line.index, parent, line.turn)


def _lines(path: Path) -> Iterator[_Line]:
    for line in path.read_bytes().splitlines():
        try:
            yield _LINE.decode(line)
        except ValueError:  # msgspec's errors are ValueErrors: a torn line, or another version's
            continue


def _fresh(folder: Path) -> Path:
    name = time.strftime("%Y-%m-%d %H.%M.%S")
    path, number = folder / f"{name}.jsonl", 2
    while path.exists():
        path, number = folder / f"{name} {number}.jsonl", number + 1
    return path
