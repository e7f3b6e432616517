"""The app's side of a worker: start it, talk to it, stop it, and tell how it ended.

A worker that dies, hangs or sends nonsense fails the commands under way with an Error event, and nothing
else: no exception reaches the caller, whatever the worker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import signal
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.launch import WorkerLog, command_line, environment
from engines.worker.process_tree import members, signal_all, wait_gone

LINE_LIMIT = 32 * 1024 * 1024
"""Bytes of one message: the scores of a long text are the largest, about 20 bytes a figure."""
FLOOD_LINES = 10_000
"""Lines within a second that no honest worker sends; an answer at full speed is some 60."""
SHUTDOWN_SECONDS = 5.0
"""How long a worker may take to release its engine before it is told harder."""
TERMINATE_SECONDS = 2.0
EXIT_SECONDS = 2.0
"""How long a worker may outlive its output."""
SILENCE_SECONDS = 300.0
"""Without any message for so long, heartbeats included, a worker counts as hung. OpenVINO holds Python's
lock while it writes an engine: 1.3 s for 612 MB on a fast disk, minutes for a large model on a slow one."""
TICK_SECONDS = 0.5
SIGNALLED = 128
"""A program that ends for a signal which a program of its own got adds this to the signal's number."""


class _Hung(Exception):  # noqa: N818 - never leaves this module
    pass


class EngineProcess:
    """One worker process.

    Attributes:
        pid: the worker's process id.
        ended: set once the process and its children are gone.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: WorkerLog, silence: float) -> None:
        self._process = process
        self._log = log
        self._silence = silence
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[protocol.Event]] = {}
        self._greeted = False
        self._closing = False
        self._verdict: tuple[str, str] | None = None
        """Code and message, where the worker's end was our decision."""
        self.pid = process.pid
        self.ended = asyncio.Event()
        self._reader = asyncio.create_task(self._read(), name=f"worker {self.pid} events")

    @classmethod
    async def start(
        cls,
        backend: str,
        log_path: Path,
        python: str = sys.executable,
        silence: float = SILENCE_SECONDS,
    ) -> EngineProcess:
        """Start a worker for one backend in a session of its own.

        Args:
            python: the interpreter; another environment's gets this package and its own libraries.
            silence: seconds without a message after which it counts as hung.

        Raises:
            EngineError: the interpreter cannot be started.
        """
        log = WorkerLog(log_path)
        with log.opened(f"{backend} worker") as sink:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command_line(backend, python),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=sink,
                    start_new_session=True,
                    limit=LINE_LIMIT,
                    env=environment(python),
                )
            except OSError as error:
                raise EngineError(
                    "no-worker",
                    f"The worker cannot be started: {error}.",
                    f"Check that {python} is a Python interpreter.",
                ) from error
        return cls(process, log, silence)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.returncode is None and not self.ended.is_set()

    def next_id(self) -> int:
        """A fresh command id."""
        return next(self._ids)

    async def run(self, command: protocol.Command) -> AsyncGenerator[protocol.Event, None]:
        """Send a command and yield the events that answer it, the last one included.

        The last event is one of `protocol.TERMINAL`; it is an Error when the worker dies or hangs.
        Closing the iterator before that stops an answer; other commands run on in the worker.
        """
        inbox = self._waiting[command.id] = asyncio.Queue()
        finished = False
        try:
            self._send(command)
            while not finished:
                event = await self._next(inbox, command.id)
                finished = isinstance(event, protocol.TERMINAL)
                yield event
        finally:
            self._waiting.pop(command.id, None)
            if not finished:
                self._send(protocol.Stop(command.id))

    async def ask(self, command: protocol.Command) -> protocol.Event:
        """Send a command and return only its last event."""
        async for event in self.run(command):
            last = event
        return last

    async def stop(self, identity: int) -> None:
        """Ask the worker to end the answer `identity`; its Done comes through `run`."""
        self._send(protocol.Stop(identity))

    async def close(self, deadline: float = SHUTDOWN_SECONDS) -> None:
        """Shut the worker down, politely first; afterwards it and its children are gone."""
        self._closing = True
        self._send(protocol.Shutdown())
        try:
            if not await self._ends_within(deadline):
                signal_all(members(self.pid), signal.SIGTERM)
                await self._ends_within(TERMINATE_SECONDS)
        finally:  # also when the caller loses patience
            await asyncio.shield(self.kill())

    async def kill(self) -> None:
        """End the worker and its children at once. The signals are sent before anything is awaited."""
        self._closing = True
        if not self.ended.is_set():
            signal_all(members(self.pid), signal.SIGKILL)
            await self.ended.wait()

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of the log."""
        return self._log.tail(lines)

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)
        return self.ended.is_set()

    def _send(self, command: protocol.Command) -> None:
        writer = self._process.stdin
        assert writer is not None
        # Not drained: a worker that does not read must not hold up the app, and one that is gone is told
        # through the reader, which knows why. RuntimeError: the event loop is closed.
        with contextlib.suppress(OSError, RuntimeError):
            if not (self.ended.is_set() or writer.is_closing()):
                writer.write(protocol.encode(command))

    async def _next(self, inbox: asyncio.Queue[protocol.Event], identity: int) -> protocol.Event:
        if self.ended.is_set() and inbox.empty():
            return self._obituary(identity)
        return await inbox.get()

    async def _read(self) -> None:
        try:
            await self._listen()
        except ValueError as error:  # ProtocolError, and asyncio's own for a line over LINE_LIMIT
            self._verdict = "worker-nonsense", f"The worker sent what is no message: {error}"
        except asyncio.CancelledError:  # the event loop is being closed
            signal_all(members(self.pid), signal.SIGKILL)
            raise
        except _Hung:
            words = f"The worker has given no sign of life for {self._silence:g} seconds."
            self._verdict = "worker-hung", words
        finally:
            await self._bury()

    async def _listen(self) -> None:
        second, lines = time.monotonic(), 0
        while line := await self._next_line():
            self._deliver(protocol.decode_event(line), line)
            lines += 1
            if time.monotonic() - second >= 1.0:
                second, lines = time.monotonic(), 0
            elif lines > FLOOD_LINES:
                raise protocol.ProtocolError(f"more than {FLOOD_LINES:,} lines within a second")

    async def _next_line(self) -> bytes:
        """The next whole line; nothing at the end."""
        stream = self._process.stdout
        assert stream is not None
        # Counted in ticks: after a suspension of the app the clock alone would call any worker silent.
        for _ in range(math.ceil(self._silence / TICK_SECONDS)):
            with contextlib.suppress(asyncio.TimeoutError):
                line = await asyncio.wait_for(stream.readline(), TICK_SECONDS)
                return line if line.endswith(b"\n") else b""  # it died while it wrote
            if self._process.returncode is not None:  # a child of it holds the pipe open
                return b""
        raise _Hung

    def _deliver(self, event: protocol.Event | None, line: bytes) -> None:
        if not self._greeted:
            if not isinstance(event, protocol.Hello):
                raise protocol.ProtocolError(f"it does not begin with hello: {line[:120]!r}")
            if event.protocol != protocol.PROTOCOL:
                raise protocol.ProtocolError(f"it speaks protocol {event.protocol}, not {protocol.PROTOCOL}")
            self._greeted = True
        if event is not None and event.id in self._waiting:
            self._waiting[event.id].put_nowait(event)

    async def _bury(self) -> None:
        """See to it that the process and its children are gone, then tell those who wait."""
        if self._verdict is None:
            await self._exits_within(EXIT_SECONDS)
            if self._process.returncode is None and not self._closing:
                self._verdict = "worker-nonsense", "The worker closed its output and ran on."
        left = members(self.pid)
        signal_all(left, signal.SIGKILL)
        await self._exits_within(math.inf)
        await wait_gone(left, TERMINATE_SECONDS)
        await self._close_pipe()
        self.ended.set()
        for identity, inbox in self._waiting.items():
            inbox.put_nowait(self._obituary(identity))

    async def _close_pipe(self) -> None:
        writer = self._process.stdin
        assert writer is not None
        writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 1.0)

    async def _exits_within(self, seconds: float) -> None:
        # Not `Process.wait`: since Python 3.12 it waits for the pipes too, which a child may hold.
        deadline = time.monotonic() + seconds
        while self._process.returncode is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def _obituary(self, identity: int) -> protocol.Error:
        code, message = "worker-died", f"The worker ended: {_how_it_ended(self._process.returncode)}."
        hint = "Restart this side; the conversation is kept."
        if self._verdict:
            code, message = self._verdict
        elif self._closing:
            code, message, hint = "worker-closed", "The worker was closed.", ""
        elif self._process.returncode == -signal.SIGKILL:
            hint += " If the machine ran out of memory, choose a smaller precision or context."
        return protocol.Error(identity, code, message, hint, self.log_tail())


def _how_it_ended(code: int | None) -> str:
    if code is None or 0 <= code <= SIGNALLED:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code} ({signal.Signals(code - SIGNALLED).name})"
    return f"exit code {code}"
