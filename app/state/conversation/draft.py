"""What stands in the box and was not sent: kept, so that it is there when the app is opened again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.state.conversation.attachment import Attachment
from app.state.settings.atomic_file import write_atomic


@dataclass(frozen=True)
class Draft:
    """A prompt that is being written."""

    text: str = ""
    attachments: tuple[Attachment, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.text.strip() or self.attachments)


class DraftFile:
    """Keeps the newest draft, from threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wanted = self._written = Draft()
        self._lock = threading.Lock()

    def read(self) -> Draft:
        """What was not sent the last time; nothing where that cannot be read."""
        try:
            self._written = self._wanted = msgspec.json.decode(self._path.read_bytes(), type=Draft)
        except (OSError, ValueError):  # msgspec's errors are ValueErrors
            return Draft()
        return self._written

    def want(self, draft: Draft) -> None:
        """Let the next `write` keep this one."""
        self._wanted = draft

    def write(self) -> None:
        """Keep what was wanted last, unless that has been done.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            wanted = self._wanted
            if wanted == self._written:
                return
            if wanted:
                write_atomic(self._path, msgspec.json.encode(wanted))
            else:
                self._path.unlink(missing_ok=True)
            self._written = wanted
