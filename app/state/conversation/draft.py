"""The prompt that is being written, saved so that it is there when the app is opened again."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.state.conversation.attachment import Attachment
from app.state.settings.atomic_file import write_atomic
from app.state.settings.file_lock import FileInUseError, Lease
from app.state.settings.last_write import LastWrite


@dataclass(frozen=True)
class Draft:
    """A prompt that is being written."""

    text: str = ""
    attachments: tuple[Attachment, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.text.strip() or self.attachments)


def joined(drafts: Iterable[Draft]) -> Draft:
    """Return several prompts as one: their texts with an empty line between them, and all attachments."""
    drafts = tuple(drafts)
    texts = filter(None, (draft.text for draft in drafts))
    attachments = dict.fromkeys(one for draft in drafts for one in draft.attachments)
    return Draft("\n\n".join(texts), tuple(attachments))


class DraftFile:
    """Saves the newest draft of this app, from threads.

    Apps that run at the same time have a file each: `draft.json`, `draft-2.json` and so on. An app that
    starts takes the newest file that no running app has, and with it the draft of an app that has ended.
    """

    def __init__(self, path: Path) -> None:
        """Create it.

        Args:
            path: the first app's file.
        """
        self._first = path
        self._path = path
        self._lease: Lease | None = None
        self._pending: Draft | None = None
        self._written = Draft()
        self._last_write = LastWrite()
        self._lock = threading.Lock()

    def read(self) -> Draft:
        """Return the draft that an earlier app left; an empty one where there is none that can be read."""
        with self._lock:
            self._take_file()
            try:
                self._written = msgspec.json.decode(self._path.read_bytes(), type=Draft)
            except (OSError, ValueError):  # msgspec's errors are ValueErrors
                return Draft()
            return self._written

    def set_pending(self, draft: Draft) -> None:
        """Let the next `write` save this one."""
        self._pending = draft

    @property
    def failures(self) -> dict[str, str]:
        """`draft` with the reason, if the last write could not save it."""
        failed = self._pending not in (None, self._written) and self._last_write.reason
        return {"draft": self._last_write.reason} if failed else {}

    def write(self) -> None:
        """Save the pending draft, or remove the file where it is empty. Without a change nothing is written.

        Raises:
            OSError: the file cannot be written. The draft stays pending.
        """
        with self._lock:
            pending = self._pending
            if pending is None or pending == self._written:
                return
            self._take_file()
            with self._last_write.attempt():
                if pending:
                    write_atomic(self._path, msgspec.json.encode(pending))
                else:
                    self._path.unlink(missing_ok=True)
            self._written = pending

    def close(self) -> None:
        """Leave the file to the next app that starts."""
        with self._lock:
            if self._lease:
                self._lease.release()
                self._lease = None

    def _take_file(self) -> None:
        for path in () if self._lease else self._candidates():
            try:
                self._lease, self._path = Lease(path), path
            except FileInUseError:
                continue
            return

    def _candidates(self) -> Iterator[Path]:
        """Yield the files that exist, newest first, then names that are free."""
        files = self._first.parent.glob(f"{self._first.stem}*{self._first.suffix}")
        yield from (path for _, path in sorted(((_changed(path), path) for path in files), reverse=True))
        yield self._first
        for number in itertools.count(2):
            yield self._first.with_stem(f"{self._first.stem}-{number}")


def _changed(path: Path) -> float:
    """Return the time of the last change; 0 for a file that another app has just removed."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
