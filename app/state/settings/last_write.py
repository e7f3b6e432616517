"""What could not be saved, and why; and another attempt to save it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from typing import Protocol


class LastWrite:
    """Whether the last attempt to write a file failed.

    Attributes:
        reason: why; empty after a success.
    """

    def __init__(self) -> None:
        self.reason = ""

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Record how the write in the block ends; its OSError is passed on."""
        try:
            yield
        except OSError as error:
            self.reason = reason_of(error)
            raise
        self.reason = ""


def reason_of(error: OSError) -> str:
    """Return why a file cannot be written, without its path."""
    return error.strerror or str(error)


class Saved(Protocol):
    """Something that is saved from threads, and keeps what cannot be written."""

    @property
    def failures(self) -> Mapping[str, str]:
        """What the last write could not save, with the reason; empty while nothing is wrong."""

    def write(self) -> None:
        """Write what is pending.

        Raises:
            OSError: it cannot be written, and stays pending.
        """


class SaveFailures:
    """Everything that could not be saved, tried again until it is."""

    def __init__(self, *saved: Saved) -> None:
        self._saved = list(saved)

    def add(self, saved: Saved) -> None:
        """Watch another one."""
        self._saved.append(saved)

    @property
    def text(self) -> str:
        """What is not saved and why, such as `not saved: draft (Disk quota exceeded)`; empty if all is."""
        kinds: dict[str, list[str]] = {}
        for saved in self._saved:
            for kind, reason in saved.failures.items():
                kinds.setdefault(reason, []).append(kind)
        parts = [f"{', '.join(kinds[reason])} ({reason})" for reason in kinds]
        return f"not saved: {'; '.join(parts)}" if parts else ""

    async def retry(self) -> None:
        """Try to write what could not be written."""
        for saved in self._saved:
            if saved.failures:
                with contextlib.suppress(OSError):  # shown, and tried again
                    await asyncio.to_thread(saved.write)
