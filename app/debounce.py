"""Run an action after a pause without further triggers, and never concurrently with itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine

StartTask = Callable[[Coroutine[None, None, None]], object]
"""Runs a coroutine as a background task."""


class Debouncer:
    """Runs an action once no trigger came for a while, so that typing does not pay for it."""

    def __init__(
        self,
        seconds: float,
        action: Callable[[], Awaitable[None]],
        start: StartTask,
    ) -> None:
        """Create an idle debouncer.

        Args:
            seconds: Length of the pause.
            action: Runs after the pause.
            start: Starts the task that waits for the pause and runs the action.
        """
        self._seconds, self._action, self._start = seconds, action, start
        self._due: float | None = None
        """Monotonic time at which the action runs; None if none is pending."""
        self._running = False

    def trigger(self) -> None:
        """Restart the pause, and run the action at its end."""
        self._due = time.monotonic() + self._seconds
        if not self._running:
            self._running = True
            self._start(self._run())

    def cancel(self) -> None:
        """Drop the pending action; one that already runs continues."""
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
            self._running = False
