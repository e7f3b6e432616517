"""Engines that are opened together: none replaces a running one before all of them are prepared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from engines.plan.estimate.memory_need import MemoryNeed, missing_bytes
from engines.plan.hardware.hardware import devices

FAILED = "not replaced: the engine of the other side could not be prepared"
KEPT = "not replaced: there is not enough memory for both, and the running engine was kept"


class NotReplacedError(Exception):
    """The running engine stays. The message says why."""


@dataclass(frozen=True)
class Candidate:
    """A prepared engine that is to replace a running one."""

    need: MemoryNeed
    running: str
    """Title of the running engine."""
    unload: Callable[[], Awaitable[None]]
    """Ends the running engine after its answer."""


MakeRoom = Callable[[tuple[str, ...], int], Awaitable[bool]]
"""Asks whether the engines with these titles may be unloaded, because so many bytes are missing."""


async def always(_titles: tuple[str, ...], _missing: int) -> bool:
    """Make room without a question."""
    return True


class EngineSwap:
    """Waits until every engine is prepared, then decides whether running ones are unloaded first."""

    def __init__(self, owners: Iterable[object], make_room: MakeRoom = always) -> None:
        """Create it for the engines of these owners."""
        self._pending = set(owners)
        self._make_room = make_room
        self._candidates: list[Candidate] = []
        self._failed = False
        self._settled = asyncio.Event()
        self._decision: asyncio.Task[bool] | None = None

    async def prepared(self, owner: object, candidate: Candidate) -> bool:
        """Wait for the other engines. Returns whether the running engines have been unloaded.

        Raises:
            NotReplacedError: the running engine of the owner is to stay.
        """
        self._candidates.append(candidate)
        self.leave(owner)
        try:
            await self._settled.wait()
            if self._failed:
                raise NotReplacedError(FAILED)
            if self._decision is None:
                self._decision = asyncio.create_task(self._decide(), name="make room for engines")
            return await asyncio.shield(self._decision)
        except asyncio.CancelledError:
            self._withdraw(candidate)
            raise

    def _withdraw(self, candidate: Candidate) -> None:
        """Leave the decision to the others; without others there is nothing to decide."""
        self._candidates.remove(candidate)
        if self._decision and not self._candidates:
            self._decision.cancel()

    def leave(self, owner: object, *, failed: bool = False) -> None:
        """Stop waiting for an owner: its engine is prepared, failed or cancelled. Later calls do nothing."""
        if owner in self._pending:
            self._pending.remove(owner)
            self._failed |= failed
            if not self._pending:
                self._settled.set()

    async def _decide(self) -> bool:
        """Unload the running engines if the new ones do not fit beside them.

        Raises:
            NotReplacedError: the user keeps the running engines.
        """
        needs = [one.need for one in self._candidates]
        missing = missing_bytes(needs, await asyncio.to_thread(devices))
        if not missing:
            return False
        if not await self._make_room(tuple(one.running for one in self._candidates), missing):
            raise NotReplacedError(KEPT)
        await asyncio.gather(*(one.unload() for one in self._candidates))
        return True
