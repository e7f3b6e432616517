"""Reads the events of a worker, and refuses what no correct worker sends.

Standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import time
from collections.abc import AsyncGenerator, Callable

from engines.worker import protocol
from engines.worker.event_check import checked
from engines.worker.flood import FloodLimit
from engines.worker.reply_check import SHORT_LINE, ReplyCheck

TICK_SECONDS = 0.5
SLICE_SECONDS = 0.004
"""How long messages that have arrived are decoded before others get a turn on the event loop."""

LONG_LINE = 16_384
"""Bytes from which garbage collection waits until a line is decoded: with it, half a megabyte of empty lists
took 0.3 s."""


class HungError(Exception):
    """The worker has sent nothing for too long."""


class EventReader:
    """The output of one worker, as checked events."""

    def __init__(
        self,
        stream: asyncio.StreamReader,
        silence: float,
        exited: Callable[[], bool],
        killed: Callable[[], bool],
    ) -> None:
        """Create it.

        Args:
            silence: seconds without a message after which the worker counts as hung.
            exited: whether the process has ended; one of its children may hold the pipe open.
            killed: whether SIGKILL was sent: what is left of the output is not read.
        """
        self._stream, self._silence, self._exited, self._killed = stream, silence, exited, killed
        self._greeted = False
        self._flood = FloodLimit()
        self._checks: dict[int, ReplyCheck] = {}
        """Of commands without their last event, including those whose caller stopped waiting."""

    def expect(self, command: protocol.Command) -> None:
        """Check the events that answer a command, which is about to be sent."""
        self._checks[command.id] = ReplyCheck(command)

    async def events(self) -> AsyncGenerator[protocol.Event, None]:
        """Yield events of known types until the output ends.

        Raises:
            ValueError: a ProtocolError, or asyncio's own for a line that is longer than its limit.
            HungError: no message came for `silence` seconds.
        """
        worked = 0.0
        while not self._killed() and (line := await self._next_line()):
            started = time.monotonic()
            self._flood.take(len(line))
            if event := self._checked(line):
                yield event
            worked += time.monotonic() - started
            if worked > SLICE_SECONDS:  # lines that have arrived already are read without a pause
                await asyncio.sleep(0)
                worked = 0.0

    async def discard(self, seconds: float) -> None:
        """Read what is left and drop it: asyncio closes a pipe once it has been read."""

        async def read() -> None:
            while await self._stream.read(1 << 20):  # noqa: ASYNC110 - not polling: read waits
                await asyncio.sleep(0)

        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(read(), seconds)

    async def _next_line(self) -> bytes:
        """Return the next complete line; an empty one at the end of the output."""
        # Counted in ticks: after the app was suspended, the clock alone would call any worker silent.
        for _ in range(math.ceil(self._silence / TICK_SECONDS)):
            with contextlib.suppress(asyncio.TimeoutError):
                line = await asyncio.wait_for(self._stream.readline(), TICK_SECONDS)
                return line if line.endswith(b"\n") else b""  # it died in the middle of a line
            if self._exited() or self._killed():
                return b""
        raise HungError

    def _checked(self, line: bytes) -> protocol.Event | None:
        """Return the event on a line; None for a type that this version does not know."""
        limit = max((check.line_limit for check in self._checks.values()), default=SHORT_LINE)
        if len(line) > limit:
            raise protocol.ProtocolError(f"a line of {len(line):,} bytes: {line[:80]!r}")
        event = _decoded(line)
        if not self._greeted:
            self._greet(event, line)
        if event is None:
            return None
        event = checked(event)
        if check := self._checks.get(event.id):
            check.check(event)
            if isinstance(event, protocol.TERMINAL):
                del self._checks[event.id]
        return event

    def _greet(self, event: protocol.Event | None, line: bytes) -> None:
        if not isinstance(event, protocol.Hello):
            raise protocol.ProtocolError(f"the first one is not hello: {line[:120]!r}")
        if event.protocol != protocol.PROTOCOL:
            raise protocol.ProtocolError(f"protocol {event.protocol}, expected {protocol.PROTOCOL}")
        self._greeted = True


def _decoded(line: bytes) -> protocol.Event | None:
    if len(line) < LONG_LINE or not gc.isenabled():
        return protocol.decode_event(line)
    gc.disable()
    try:
        return protocol.decode_event(line)
    finally:
        gc.enable()
