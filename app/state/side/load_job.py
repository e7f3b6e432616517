"""A load test of one side's engine: its users, what has been measured, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from app.state.side.side import Side
from engines.build.options import refuse_single_requests
from engines.errors import EngineError, error_text
from engines.measure.load import LoadRecord
from engines.worker import protocol

USERS = (1, 2, 4, 8, 16, 32)
REQUESTS = 3
"""Prompts of each user."""
SAMPLING = protocol.Sampling(max_tokens=256)


class LoadEngine(Protocol):
    """The part of an EngineLifecycle that a load test uses."""

    side: Side

    async def run_load(
        self,
        users: int,
        requests: int,
        prompts: Sequence[str],
        sampling: protocol.Sampling,
        on_event: Callable[[protocol.Event], None],
    ) -> protocol.Event:
        """Run a load test; return its last event."""

    async def stop(self) -> None:
        """End it."""


class LoadJob:
    """At most one load test at a time."""

    def __init__(self) -> None:
        self.users = 4
        """Of the next one, or of the one that runs."""
        self.record: LoadRecord | None = None
        """What the running one has measured, or the last one."""
        self.engine_title = ""
        """Of the engine that `record` is about."""
        self.stage = ""
        """What the worker does: it loads the engine before and after."""
        self.error = ""
        """Why the last one failed."""
        self.was_stopped = False
        self._engine: LoadEngine | None = None

    @property
    def is_running(self) -> bool:
        """Whether users ask, or the engine is being loaded for them."""
        return self._engine is not None

    def change_users(self, step: int) -> None:
        """Choose the next larger or smaller number of users; not while they ask."""
        if not self.is_running:
            place = USERS.index(self.users) + step
            self.users = USERS[min(max(place, 0), len(USERS) - 1)]

    async def run(self, engine: LoadEngine, prompts: Sequence[str]) -> None:
        """Let the users ask the engine; an error becomes `error`."""
        self._engine, self.record = engine, LoadRecord(self.users)
        self.engine_title, self.stage, self.error, self.was_stopped = engine.side.title, "", "", False
        try:
            event = await engine.run_load(self.users, self.users * REQUESTS, prompts, SAMPLING, self._take)
            if isinstance(event, protocol.Error):
                self.error = error_text(event)
            elif isinstance(event, protocol.LoadTested):
                self.was_stopped = event.stopped
        finally:
            self._engine, self.stage = None, ""

    def stop(self) -> Awaitable[None] | None:
        """Return what stops the users when it is awaited; None if none ask."""
        return self._engine.stop() if self._engine else None

    def _take(self, event: protocol.Event) -> None:
        if isinstance(event, protocol.Stage):
            self.stage = event.name
        elif isinstance(event, protocol.InFlight) and self.record:
            self.record.take(event, time.monotonic_ns())


def why_not(side: Side) -> str:
    """Return why no load test of this side can begin, as a sentence; empty if it can."""
    if side.spec is None or side.ready is None:
        return f"No engine is loaded on the {side.name}. F2 chooses one."
    try:
        refuse_single_requests(side.spec.backend)
    except EngineError as error:
        return error_text(error)
    return "" if side.can_answer else f"The {side.name} engine is busy."
