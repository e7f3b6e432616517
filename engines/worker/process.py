"""The app's side of a worker: start it, talk to it, stop it, and tell how it ended.

A worker that dies or sends nonsense fails the commands under way with an Error event, and nothing else:
no exception reaches the caller, whatever the worker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil

from engines.worker import protocol

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one message: the scores of a long text are the largest."""
START_SECONDS = 60.0
SHUTDOWN_SECONDS = 5.0
"""How long a worker may take to release its engine before it is told harder."""
TERMINATE_SECONDS = 2.0
SILENCE_SECONDS = 60.0
"""Without a heartbeat for so long while busy, a worker counts as hung. Native compilers can hold
Python's lock for tens of seconds."""
PROJECT = Path(__file__).resolve().parents[2]


class EngineProcess:
    """One worker process.

    Attributes:
        pid: the worker's process id.
        log_path: the file with everything the worker and its libraries print.
        ended: set once the process is gone.
    """

    def __init__(self, process: asyncio.subprocess.Process, log_path: Path) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[protocol.Event]] = {}
        self._nonsense = ""
        self._closing = False
        self._heard = time.monotonic()
        self.pid = process.pid
        self.log_path = log_path
        self.ended = asyncio.Event()
        self._reader = asyncio.create_task(self._read(), name=f"worker {self.pid} events")

    @classmethod
    async def start(
        cls, backend: str, log_path: Path, *, python: str = sys.executable, module: str = "engines.worker"
    ) -> EngineProcess:
        """Start a worker for one backend in a session of its own.

        Args:
            python: the interpreter; another environment's is given `engines/` on its path.
            module: what it runs; anything else than our worker must speak its protocol.

        Raises:
            OSError: the interpreter cannot be started.
        """
        log_path.parent.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            python, "-m", module, "--backend", backend, "--log", str(log_path),
            "--parent", str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            limit=LINE_LIMIT,
            env=_environment(),
        )  # fmt: skip
        return cls(process, log_path)

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
        """
        inbox: asyncio.Queue[protocol.Event] = asyncio.Queue()
        self._waiting[command.id] = inbox
        try:
            self._heard = time.monotonic()
            await self._send(command)
            while True:
                event = await self._next(inbox, command.id)
                yield event
                if isinstance(event, protocol.TERMINAL):
                    return
        finally:
            self._waiting.pop(command.id, None)

    async def ask(self, command: protocol.Command) -> protocol.Event:
        """Send a command and return only its last event."""
        async for event in self.run(command):
            last = event
        return last

    async def stop(self, identity: int) -> None:
        """Ask the worker to end the answer `identity`; its Done comes through `run`."""
        await self._send(protocol.Stop(identity))

    async def close(self, deadline: float = SHUTDOWN_SECONDS) -> None:
        """Shut the worker down, politely first; afterwards it and its children are gone."""
        self._closing = True
        family = _family(self.pid)
        if self.alive:
            await self._send(protocol.Shutdown())
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.ended.wait(), deadline)
        await self._end(family, TERMINATE_SECONDS)

    async def kill(self) -> None:
        """End the worker and its children at once."""
        self._closing = True
        await self._end(_family(self.pid), 0.0)

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of the log."""
        try:
            with self.log_path.open("rb") as stream:
                stream.seek(max(0, self.log_path.stat().st_size - 16_384))
                text = stream.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    async def _end(self, family: list[psutil.Process], patience: float) -> None:
        if patience:
            _signal(family, signal.SIGTERM)
            await asyncio.to_thread(psutil.wait_procs, family, timeout=patience)
        _signal(family, signal.SIGKILL)
        await self._process.wait()
        await self._reader
        await asyncio.to_thread(psutil.wait_procs, family, timeout=TERMINATE_SECONDS)

    async def _send(self, command: protocol.Command) -> None:
        writer = self._process.stdin
        assert writer is not None
        # A worker that is gone is told through the reader, which knows why.
        with contextlib.suppress(OSError, RuntimeError):
            writer.write(protocol.encode(command))
            await writer.drain()

    async def _next(self, inbox: asyncio.Queue[protocol.Event], identity: int) -> protocol.Event:
        while True:
            if self.ended.is_set() and inbox.empty():
                return self._obituary(identity)
            with contextlib.suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(inbox.get(), 1.0)
            if not self.ended.is_set() and time.monotonic() - self._heard > SILENCE_SECONDS:
                return protocol.Error(
                    identity,
                    "worker-hung",
                    f"The worker has given no sign of life for {SILENCE_SECONDS:.0f} seconds.",
                    "Restart this side; the log may say why.",
                    self.log_tail(),
                )

    async def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        try:
            while line := await stream.readline():
                self._heard = time.monotonic()
                self._deliver(line)
        except (ValueError, protocol.ProtocolError) as error:  # ValueError: a line over LINE_LIMIT
            self._nonsense = str(error)
            _signal(_family(self.pid), signal.SIGKILL)
        await self._process.wait()
        self.ended.set()
        for identity, inbox in self._waiting.items():
            inbox.put_nowait(self._obituary(identity))

    def _deliver(self, line: bytes) -> None:
        event = protocol.decode_event(line)
        if isinstance(event, protocol.Hello) and event.protocol != protocol.PROTOCOL:
            raise protocol.ProtocolError(f"it speaks protocol {event.protocol}, not {protocol.PROTOCOL}")
        if event is not None and event.id in self._waiting:
            self._waiting[event.id].put_nowait(event)

    def _obituary(self, identity: int) -> protocol.Error:
        code, message = "worker-died", f"The worker ended: {_how_it_ended(self._process.returncode)}."
        hint = "Restart this side; the conversation is kept."
        if self._nonsense:
            code, message = "worker-nonsense", f"The worker sent what is no message: {self._nonsense}"
        elif self._closing:
            code, message, hint = "worker-closed", "The worker was closed.", ""
        elif self._process.returncode == -signal.SIGKILL:
            hint += " If the machine ran out of memory, choose a smaller precision or context."
        return protocol.Error(identity, code, message, hint, self.log_tail())


def _environment() -> dict[str, str]:
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants, collected while the tree still stands."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _signal(family: list[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
