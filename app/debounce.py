"""Something that is done after a pause, and never twice at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine

StartTask = Callable[[Coroutine[None, None, None]], object]
"""Lets a coroutine run beside everything else."""


class Debouncer:
    """Runs an action once nothing has happened for a while: typing must not pay for what follows from it."""

    def __init__(
        self,
        seconds: float,
        action: Callable[[], Awaitable[None]],
        start: StartTask,
    ) -> None:
        """Create it.

        Args:
            seconds: How long the pause is.
            action: What is done then.
            start: Lets that run.
        """
        self._seconds, self._action, self._start = seconds, action, start
        self._due: float | None = None
        self._waits = False

    def touch(self) -> None:
        """Something happened: the pause begins anew."""
        self._due = time.monotonic() + self._seconds
        if not self._waits:
            self._waits = True
            self._start(self._run())

    def forget(self) -> None:
        """There is nothing to do any more."""
        self._due = None

    async def _run(self) -> None:
        try:
            while self._due is not None:
                if (left := self._due - time.monotonic()) > 0:
                    await asyncio.sleep(left)
                else:
                    self._due = None
                    await self._action()
        finally:
            self._waits = False
