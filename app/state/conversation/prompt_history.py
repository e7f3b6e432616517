"""The prompts that were sent, oldest first: recalled with the arrow keys, and saved across runs."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from app.state.settings.atomic_file import write_atomic
from app.state.settings.file_lock import locked
from app.state.settings.last_write import LastWrite

KEPT = 500
"""How many prompts the file has: the newest."""


class _Line(msgspec.Struct):
    prompt: str


_LINE: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)


class PromptHistory:
    """The prompts that Up and Down recall, and the text that is being written below them.

    While that text is empty, suggested prompts follow below it.
    """

    def __init__(self) -> None:
        self._prompts: list[str] = []
        self._at = 0
        """The prompt that is shown; their number while none is."""
        self._unsent = ""
        self.suggested: tuple[str, ...] = ()
        """What Down shows below an empty prompt."""

    def load(self, prompts: list[str]) -> None:
        """Put the prompts of earlier runs before those of this one."""
        self._prompts = prompts + self._prompts
        self._at += len(prompts)

    def add(self, prompt: str) -> None:
        """Add a prompt that was sent, and end the walk."""
        if prompt and self._prompts[-1:] != [prompt]:
            self._prompts.append(prompt)
            del self._prompts[:-KEPT]
        self.leave()

    def leave(self) -> None:
        """End the walk: the next step starts at the newest prompt."""
        self._at, self._unsent = len(self._prompts), ""

    def walk(self, step: int, text: str) -> str | None:
        """Return the prompt before (-1) or after (+1) the one shown; None where there is none.

        After the newest one comes the text that was being written, which is `text` when the walk begins,
        and after an empty one the suggested prompts.
        """
        newest = len(self._prompts)
        if self._at == newest:
            self._unsent = text
        below = () if self._unsent else self.suggested
        if not 0 <= self._at + step <= newest + len(below):
            return None
        self._at += step
        return (*self._prompts, self._unsent, *below)[self._at]


def read_prompts(path: Path) -> list[str]:
    """Return the prompts of earlier runs; lines that cannot be read are skipped.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(_LINE.decode(line).prompt)
        except ValueError:  # msgspec's errors are ValueErrors
            continue
    return found[-KEPT:]


def keep_prompt(path: Path, *prompts: str) -> None:
    """Add prompts to the file, to which another app may add some at the same time.

    Raises:
        OSError: the file cannot be written, or another app keeps it locked.
    """
    with locked(path):
        before = read_prompts(path)
        found = list(before)
        for prompt in prompts:
            if prompt and found[-1:] != [prompt]:
                found.append(prompt)
        if found != before:
            lines = [msgspec.json.encode(_Line(one)) for one in found[-KEPT:]]
            write_atomic(path, b"\n".join(lines) + b"\n")


class PromptFile:
    """Adds prompts to the file, from threads. Those that cannot be written are written with the next one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: list[str] = []
        self._last_write = LastWrite()
        self._lock = threading.Lock()

    def add(self, prompt: str) -> None:
        """Let the next `write` add a prompt."""
        self._pending.append(prompt)

    @property
    def unsaved(self) -> bool:
        """Whether there are prompts that are not in the file."""
        return bool(self._pending)

    @property
    def failures(self) -> dict[str, str]:
        """`prompt history` with the reason, if the last write could not save it."""
        failed = self.unsaved and self._last_write.reason
        return {"prompt history": self._last_write.reason} if failed else {}

    def write(self) -> None:
        """Add what is pending to the file.

        Raises:
            OSError: as `keep_prompt`. The prompts stay pending.
        """
        with self._lock:
            if pending := list(self._pending):
                with self._last_write.attempt():
                    keep_prompt(self._path, *pending)
                del self._pending[: len(pending)]
