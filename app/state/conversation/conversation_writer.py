"""Appends lines to one conversation file; lines that cannot be written wait for the next attempt."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from app.state.conversation.record import Line, Record, TurnLine, encode_line, record_of
from app.state.settings.atomic_file import append_durably, write_atomic
from app.state.settings.file_lock import FileInUseError, Lease


class ConversationWriter:
    """The file of one conversation, leased for as long as the app has it open."""

    def __init__(self, folder: Path, before: Iterable[Line] = ()) -> None:
        """Create a writer whose file begins with the first turn.

        Args:
            folder: where the file will be.
            before: lines that the file begins with.
        """
        self._folder = folder
        self.path: Path | None = None
        self._lease: Lease | None = None
        self._before = list(before)
        self._pending: list[bytes] = []
        self._rewrite = False

    @classmethod
    def reopen(cls, path: Path, lease: Lease) -> ConversationWriter:
        """Return a writer for a file that exists."""
        writer = cls(path.parent)
        writer.path, writer._lease = path, lease
        return writer

    @property
    def unsaved(self) -> int:
        """How many lines could not be written yet."""
        return len(self._pending)

    @property
    def has_turns(self) -> bool:
        """Whether there is a turn that a choice, a swap or a name could be about."""
        return bool(self.path or self._before or self._pending)

    def rewrite(self, lines: Iterable[Line]) -> None:
        """Replace the content of the file with these lines at the next write."""
        self._before, self._rewrite = list(lines), True

    def add(self, line: Line) -> None:
        """Let the next `write` append a line. Only a turn makes a file begin: other lines wait for it."""
        if self._before and self.path is None and not isinstance(line, TurnLine):
            self._before.append(line)
            return
        self._pending += [*map(encode_line, self._before), encode_line(line)]
        self._before = []

    def write(self) -> None:
        """Append everything that is not written yet, in order.

        Raises:
            OSError: the folder cannot be written, or the disk is full. The lines are kept.
        """
        if not self._pending:
            return
        data = b"".join(self._pending)
        if self.path is None:
            self._begin(data)
        elif self._rewrite:
            write_atomic(self.path, data)
        else:
            append_durably(self.path, data)
        self._pending, self._rewrite = [], False

    def discard_if_deleted(self) -> None:
        """Drop what is not written yet where the user has deleted the file."""
        # Not where the folder is gone too, as that of a disk which is not mounted for the moment.
        if self.path and self._folder.is_dir() and not os.path.lexists(self.path):
            self._pending = []

    def record(self) -> Record:
        """Return the conversation in the file, with the lines that are not written yet.

        Raises:
            OSError: the file cannot be read.
        """
        pending = b"".join([*self._pending, *map(encode_line, self._before)])
        written = b"" if self._rewrite or self.path is None else self.path.read_bytes()
        return record_of(written + b"\n" + pending if pending else written)

    def close(self) -> None:
        """Let other apps open the file."""
        if self._lease:
            self._lease.release()

    def _begin(self, data: bytes) -> None:
        """Create a file that no other app has."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name, number = time.strftime("%Y-%m-%d %H.%M.%S"), 1
        while True:
            path = self._folder / (f"{name}.jsonl" if number == 1 else f"{name} {number}.jsonl")
            if lease := _lease_new(path):
                break
            number += 1
        try:
            append_durably(path, data)
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            lease.release()
            raise
        self.path, self._lease = path, lease


def _lease_new(path: Path) -> Lease | None:
    """Return the lease of a file that does not exist; None where it does, or another app begins it now."""
    try:
        lease = Lease(path)
    except FileInUseError:
        return None
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        lease.release()
        return None
    except BaseException:
        lease.release()
        raise
    return lease
