"""The conversation that the app has open, on disk.

A file is only ever appended to, so a crash costs the unfinished answer and nothing more. One app at a time
has a file open: a second one gets a copy. What a full disk refuses is written before the next line, in order.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from app.state.conversation.conversation import Conversation
from app.state.conversation.conversation_writer import ConversationWriter
from app.state.conversation.record import ChoiceLine, Line, NameLine, SwapLine, TurnLine, lines_of, vote_line
from app.state.conversation.record import Record as Record
from app.state.conversation.record import read_conversation as read_conversation
from app.state.conversation.record import read_record as read_record
from app.state.conversation.votes import Vote
from app.state.settings.file_lock import FileInUseError, Lease
from app.state.settings.last_write import LastWrite, reason_of

COPY_NAME = 60
"""Characters of the title that the name of a copy begins with."""


class ConversationFile:
    """Where the open conversation is written, from threads. The file begins with the first prompt.

    Attributes:
        is_copy: whether the conversation was open in another app when it was reopened here. The next prompt
            writes all of it to a new file.
    """

    def __init__(self, folder: Path) -> None:
        self.is_copy = False
        self._folder = folder
        self._writer = ConversationWriter(folder)
        self._left_behind: list[ConversationWriter] = []
        """Of conversations that were closed while lines of them could not be written."""
        self._last_write = LastWrite()
        self._lock = threading.Lock()

    @property
    def path(self) -> Path | None:
        """The file; None until it begins."""
        return self._writer.path

    @property
    def unsaved(self) -> int:
        """How many lines could not be written yet, of this conversation and of earlier ones."""
        return sum(writer.unsaved for writer in (self._writer, *self._left_behind))

    @property
    def failures(self) -> dict[str, str]:
        """`conversation` with the reason, while lines could not be written."""
        return {"conversation": self._last_write.reason} if self.unsaved and self._last_write.reason else {}

    def write(self) -> None:
        """Write what could not be written yet.

        Raises:
            OSError: some of it still cannot be written.
        """
        with self._lock:
            if errors := self._try_to_write():
                raise errors[0]

    @property
    def writer(self) -> ConversationWriter:
        """What writes the open conversation. A turn whose answer ends later is appended to it by this."""
        return self._writer

    def append_turn(
        self, side: str, conversation: Conversation, writer: ConversationWriter | None = None
    ) -> None:
        """Write the present state of the last turn of a side.

        Args:
            writer: that of the turn's conversation, which may be closed by now; None for the open one.

        Raises:
            OSError: the disk is full, or the folder cannot be written. The next call tries again.
        """
        if conversation.turns:
            turn = conversation.turns[-1]
            number = conversation.number(turn)
            self._append(TurnLine(side, number, turn, conversation.parent(number)), writer)

    def append_choice(self, side: str, number: int) -> None:
        """Write which version of a turn is shown now.

        Raises:
            OSError: as `append_turn`.
        """
        self._append(ChoiceLine(side, number))

    def append_swap(self) -> None:
        """Write that the sides changed places.

        Raises:
            OSError: as `append_turn`.
        """
        self._append(SwapLine())

    def append_vote(self, vote: Vote, sides: Mapping[str, Conversation]) -> None:
        """Write a vote on two turns of these conversations.

        Raises:
            OSError: as `append_turn`.
        """
        if line := vote_line(vote, sides):
            self._append(line)

    def append_name(self, name: str) -> None:
        """Name the conversation. Its place in the list, which is by age, stays.

        Raises:
            OSError: as `append_turn`.
        """
        if path := self.path:
            with _same_age(path):
                self._append(NameLine(name))

    def reopen(self, record: Record, path: Path | None) -> Record:
        """Open a saved conversation instead, and return its present content.

        It may have grown since `record` was read. If another app has it open, it is returned as given, and
        `is_copy` is set.

        Args:
            record: the conversation that was read.
            path: its file; None for a conversation that begins one with its next prompt.
        """
        with self._lock:
            self._try_to_write()
            before = self._writer
            self._writer, record, self.is_copy = self._opened(record, path)
            if before is not self._writer:
                self._leave(before)
        return record

    def close(self) -> None:
        """Try once more to write what could not be written, and let other apps open the conversation."""
        with self._lock:
            self._try_to_write()
            for writer in (self._writer, *self._left_behind):
                writer.close()

    def _append(self, line: Line, writer: ConversationWriter | None = None) -> None:
        with self._lock:
            writer = writer or self._writer
            if writer.has_turns or isinstance(line, TurnLine):
                writer.add(line)
                if writer is not self._writer:  # closed meanwhile, and perhaps deleted
                    writer.discard_if_deleted()
                    if writer not in self._left_behind:
                        self._left_behind.append(writer)
                self._write_all()
                if writer.unsaved:
                    raise OSError(self._last_write.reason)

    def _try_to_write(self) -> list[OSError]:
        """Write what could not be written, except of files that the user has deleted. Return the errors."""
        for writer in (self._writer, *self._left_behind):
            writer.discard_if_deleted()
        return self._write_all()

    def _write_all(self) -> list[OSError]:
        """Write the lines of every conversation, each whether or not another one can be written."""
        errors = []
        for writer in (*self._left_behind, self._writer):
            try:
                writer.write()
            except OSError as error:
                errors.append(error)
        for writer in [one for one in self._left_behind if not one.unsaved]:
            self._left_behind.remove(writer)
            writer.close()
        self._last_write.reason = reason_of(errors[-1]) if errors else ""
        return errors

    def _leave(self, writer: ConversationWriter) -> None:
        """Close a file, unless lines of it are still to be written."""
        if writer.unsaved:
            self._left_behind.append(writer)
        else:
            writer.close()

    def _opened(self, record: Record, path: Path | None) -> tuple[ConversationWriter, Record, bool]:
        """Return what writes the conversation, the conversation, and whether it is a copy."""
        if path is None:
            return ConversationWriter(self._folder, lines_of(record)), record, False
        for writer in (self._writer, *self._left_behind):
            if writer.path == path:  # it may have lines that the file does not have yet
                with contextlib.suppress(ValueError):
                    self._left_behind.remove(writer)
                return writer, _or_given(writer, record), False
        try:
            writer = ConversationWriter.reopen(path, Lease(path))
        except FileInUseError:
            return ConversationWriter(self._folder, _copied(record)), record, True
        if _size(path) != record.size:  # written between reading and leasing
            record = _or_given(writer, record)
        if record.has_gaps:
            writer.rewrite(lines_of(record))
        return writer, record, False


def rename_conversation(path: Path, name: str) -> None:
    """Name a conversation that this app does not show. Its place in the list, which is by age, stays.

    Raises:
        FileInUseError: another app has it open.
        OSError: the file cannot be written.
    """
    with Lease(path) as lease, _same_age(path):
        writer = ConversationWriter.reopen(path, lease)
        writer.add(NameLine(name))
        writer.write()


def _copied(record: Record) -> list[Line]:
    title = record.title[:COPY_NAME].strip()
    return [*lines_of(record), *([NameLine(f"{title} (copy)")] if title else [])]


def _or_given(writer: ConversationWriter, record: Record) -> Record:
    """Return what is on disk; the record that was read before where that cannot be read."""
    try:
        return writer.record()
    except OSError:
        return record


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


@contextlib.contextmanager
def _same_age(path: Path) -> Iterator[None]:
    before = path.stat()
    yield
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
