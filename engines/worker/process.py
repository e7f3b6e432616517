"""The app's end of a worker: start it, send commands, stop it, and report how it ended.

A worker that dies, hangs or breaks the protocol fails the commands in flight with an Error event; no
exception reaches the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.event_reader import EventReader, HungError
from engines.worker.exit_status import describe_exit
from engines.worker.launch import WorkerLog, command_line, environment
from engines.worker.process_tree import ProcessTree
from engines.worker.reply_check import LINE_LIMIT

SHUTDOWN_SECONDS = 5.0
"""How long a worker may take to release its engine before it gets SIGTERM."""
TERMINATE_SECONDS = 2.0
EXIT_SECONDS = 2.0
"""How long a worker may run on after it closed its output."""
KILL_SECONDS = 10.0
"""How long to wait after SIGKILL. A process in an uninterruptible system call, as GPU drivers have them, may
never end."""
SILENCE_SECONDS = 300.0
"""A worker that sends nothing for this long, heartbeats included, counts as hung. OpenVINO holds Python's
lock while it writes an engine: 1.3 s for 612 MB on a fast disk, minutes for a large model on a slow one."""


class EngineProcess:
    """One worker process.

    Attributes:
        pid: the worker's process id.
        ended: set once the process and its children have ended, or could not be ended by SIGKILL.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: WorkerLog, silence: float) -> None:
        self._process = process
        self._tree = ProcessTree(process.pid)
        self._log = log
        self._silence = silence
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[protocol.Event]] = {}
        self._closing = False
        self._killed: float | None = None
        """When SIGKILL was sent, in monotonic seconds."""
        self._verdict: tuple[str, str] | None = None
        """Code and message, where this class decided to end the worker."""
        self.pid = process.pid
        self.ended = asyncio.Event()
        assert process.stdout is not None
        self._events = EventReader(
            process.stdout, silence, lambda: process.returncode is not None, lambda: self._killed is not None
        )
        self._reader = asyncio.create_task(self._read(), name=f"worker {self.pid} events")

    @classmethod
    async def start(
        cls,
        backend: str,
        log_path: Path,
        python: str = sys.executable,
        silence: float = SILENCE_SECONDS,
    ) -> EngineProcess:
        """Start a worker for one backend in its own session.

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
        """Whether the process runs and was not asked to end."""
        return self._process.returncode is None and not self._closing and not self.ended.is_set()

    @property
    def is_stuck(self) -> bool:
        """Whether SIGKILL did not end the process: it may still hold memory of the device."""
        return self.ended.is_set() and self._process.returncode is None

    @property
    def death(self) -> protocol.Error | None:
        """How the worker ended, with the last lines of its log; None while it runs."""
        return self._obituary(0) if self.ended.is_set() else None

    def next_id(self) -> int:
        """Return an unused command id."""
        return next(self._ids)

    async def run(self, command: protocol.Command) -> AsyncGenerator[protocol.Event, None]:
        """Send a command and yield the events that answer it, the last one included.

        The last event is one of `protocol.TERMINAL`; it is an Error when the worker dies or hangs.
        Closing the iterator before that stops an answer; other commands continue in the worker.
        """
        inbox = self._waiting[command.id] = asyncio.Queue()
        self._events.expect(command)
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

    async def ask(
        self, command: protocol.Command, on_event: Callable[[protocol.Event], None] | None = None
    ) -> protocol.Event:
        """Send a command and return its last event.

        Args:
            on_event: called with every event before the last one. An exception from it stops the answer.
        """
        async with contextlib.aclosing(self.run(command)) as events:
            async for event in events:
                last = event
                if on_event and not isinstance(event, protocol.TERMINAL):
                    on_event(event)
        return last

    async def stop(self, identity: int) -> None:
        """Ask the worker to end the answer `identity`; its Done event still comes through `run`."""
        self._send(protocol.Stop(identity))

    async def close(self, deadline: float | None = None) -> None:
        """Shut the worker down: a Shutdown command, then SIGTERM, then SIGKILL.

        Returns when the worker and its children have ended, or KILL_SECONDS after SIGKILL (`is_stuck`).

        Args:
            deadline: seconds that the worker gets to release its engine; None: SHUTDOWN_SECONDS.
        """
        self._closing = True
        self._send(protocol.Shutdown())
        try:
            if not await self._ends_within(SHUTDOWN_SECONDS if deadline is None else deadline):
                self._tree.signal(signal.SIGTERM)
                await self._ends_within(TERMINATE_SECONDS)
        finally:  # also when the caller's own deadline cancels this
            await asyncio.shield(self.kill())

    async def kill(self, why: str = "") -> None:
        """Kill the worker and its children. The signals are sent before anything is awaited.

        Args:
            why: message of the Error that commands in flight get; empty for that of a closed worker.
        """
        self._closing = True
        if why and self._verdict is None:
            self._verdict = "worker-hung", why
        if not self.ended.is_set():
            self._send_kill()
            await self.ended.wait()

    def log_tail(self, lines: int = 12) -> str:
        """Return the last lines of the log."""
        return self._log.tail(lines)

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)
        return self.ended.is_set()

    def _send(self, command: protocol.Command) -> None:
        writer = self._process.stdin
        assert writer is not None
        # Not drained: a worker that does not read must not hold up the app, and the reader reports one that
        # has ended, with the reason. RuntimeError: the event loop is closed.
        with contextlib.suppress(OSError, RuntimeError):
            if not (self.ended.is_set() or writer.is_closing()):
                writer.write(protocol.encode(command))

    async def _next(self, inbox: asyncio.Queue[protocol.Event], identity: int) -> protocol.Event:
        if self.ended.is_set() and inbox.empty():
            return self._obituary(identity)
        return await inbox.get()

    async def _read(self) -> None:
        try:
            await self._take_events()
            await self._end_tree()
        except asyncio.CancelledError:  # the event loop is being closed, perhaps while `_end_tree` waits
            self._send_kill()
            await self._end_tree()
            raise
        finally:
            self._bury()

    async def _take_events(self) -> None:
        try:
            async for event in self._events.events():
                if inbox := self._waiting.get(event.id):
                    inbox.put_nowait(event)
        except ValueError as error:  # ProtocolError, and asyncio's own for a line over LINE_LIMIT
            self._verdict = "worker-nonsense", f"The worker sent an invalid message: {error}"
        except OSError as error:
            self._verdict = "worker-nonsense", f"The worker's output cannot be read: {error}"
        except HungError:
            self._verdict = "worker-hung", f"The worker has sent nothing for {self._silence:g} seconds."

    def _bury(self) -> None:
        """Fail the commands that still wait."""
        self.ended.set()
        for identity, inbox in self._waiting.items():
            inbox.put_nowait(self._obituary(identity))

    async def _end_tree(self) -> None:
        """End the process and its children."""
        if self._verdict is None and self._killed is None:
            await self._exits_within(EXIT_SECONDS)
            if self._process.returncode is None and not self._closing:
                self._verdict = "worker-nonsense", "The worker closed its output and kept running."
        self._send_kill()
        await self._exits_within(KILL_SECONDS)
        await self._tree.wait_ended(TERMINATE_SECONDS)
        await self._close_pipes()

    def _send_kill(self) -> None:
        self._tree.signal(signal.SIGKILL)
        self._killed = self._killed or time.monotonic()

    async def _close_pipes(self) -> None:
        writer = self._process.stdin
        assert writer is not None
        writer.close()
        await self._events.discard(1.0)
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 1.0)

    async def _exits_within(self, seconds: float) -> None:
        # Not `Process.wait`: since Python 3.12 it waits for the pipes too, which a child may hold.
        deadline = time.monotonic() + seconds
        while self._process.returncode is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def _obituary(self, identity: int) -> protocol.Error:
        code, message = "worker-died", f"The worker ended: {describe_exit(self._process.returncode)}."
        hint = "Restart this side; the conversation is kept."
        if self.is_stuck:
            code, message = "worker-stuck", f"The worker, process {self.pid}, cannot be ended."
            hint = "It may still hold memory. If restarting this side fails, restart the machine."
        elif self._verdict:
            code, message = self._verdict
        elif self._closing:
            code, message, hint = "worker-closed", "The worker was closed.", ""
        elif self._process.returncode == -signal.SIGKILL:
            hint += " If the machine ran out of memory, choose a smaller precision or context."
        return protocol.Error(identity, code, message, hint, self.log_tail())
