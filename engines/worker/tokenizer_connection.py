"""Connections to the tokenizer's processes, with deadlines; see `tokenizer_host` for their other end.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import threading
import time
import warnings
from array import array
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engines.errors import EngineError
from engines.worker.thought_tags import FAMILIES
from engines.worker.tokenizer import import_library, unreadable

LOAD_SECONDS = 120.0
POLL_SECONDS = 0.05
"""How often the stop flag is checked meanwhile."""
GRACE_SECONDS = 0.15
"""How long a conversion may go on after a stop: nearly all end within milliseconds."""
USES_TEMPLATE = ("prompt_ids", "opened_thought", "template_facts")
"""Operations that render the chat template first."""
MAX_REPLY = 64_000_000
"""Bytes: 8 million token ids."""
OTHER_COPY = "The checkpoint's files may be damaged: download it again, or choose another one."
TOO_MUCH = "needs more than 1 GB of memory for this text, or crashes"


class Stopped(Exception):  # noqa: N818 - not an error: the user asked for it
    """A conversion was given up because the answer was stopped."""


class Host:
    """The process that has loaded the tokenizer; see `tokenizer_host`."""

    def __init__(self, checkpoint: Path) -> None:
        import_library(checkpoint)
        self._checkpoint = checkpoint
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._pid = _fork_host(theirs, checkpoint)
        theirs.close()
        self.alive = True
        facts = self._read_facts()
        self.configured_stop_ids = frozenset(facts["stop"])
        self.has_chat_template = bool(facts["chat_template"])
        self.thought_tags = tuple(FAMILIES[index] for index in facts["thought_tags"])
        self.template_variables = tuple(facts["template_variables"])

    def fork(self) -> tuple[int, Connection]:
        """Start a server; returns its process id and the connection to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            answer = self._request(lambda: socket.send_fds(self._control, [b"F"], [theirs.fileno()]))
        if not answer:
            ours.close()
            raise EngineError("tokenizer-failed", "The tokenizer's process has ended.", "Restart this side.")
        return int(answer), Connection(ours.detach())

    def kill(self, pid: int) -> int | None:
        """Kill a server; returns its exit code, negative for a signal; None if the host has ended."""
        answer = self._request(lambda: self._control.send(b"K%d" % pid))
        return int(answer) if answer else None

    def close(self) -> None:
        """End the host, and with it its servers."""
        self.alive = False
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _request(self, send: Callable[[], object]) -> bytes:
        """Send a request and return the answer; empty if the host has ended."""
        answer = b""
        with self._lock, contextlib.suppress(OSError):
            send()
            answer = self._control.recv(64)
        self.alive = self.alive and bool(answer)
        return answer

    def _read_facts(self) -> dict[str, Any]:
        self._control.settimeout(LOAD_SECONDS)
        try:
            crashed = b'{"error": {"code": "memory"}}'
            facts: dict[str, Any] = json.loads(self._control.recv(200_000) or crashed)
        except TimeoutError:
            facts = {"error": {"code": "timeout"}}
        self._control.settimeout(None)
        if error := facts.get("error"):
            self.close()
            raise self._load_error(error)
        return facts

    def _load_error(self, error: dict[str, str]) -> EngineError:
        if error["code"] == "timeout":
            return unreadable(self._checkpoint, f"it did not load within {LOAD_SECONDS:g} seconds.")
        if error["code"] == "memory":
            return unreadable(self._checkpoint, "it needs more than 3 GB of memory, or crashes the library.")
        if error["code"] == "failed":
            return unreadable(self._checkpoint, error["message"])
        return EngineError(**error)


def _fork_host(theirs: socket.socket, checkpoint: Path) -> int:
    from engines.worker.tokenizer_host import run_host

    parent = os.getpid()
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork with threads. The child uses none of what they may have locked.
        warnings.simplefilter("ignore", DeprecationWarning)
        if (pid := os.fork()) == 0:
            run_host(theirs, checkpoint, parent)
    return pid


class Server:
    """One server, started when it is needed."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._pid = 0
        self._connection: Connection | None = None

    @property
    def runs(self) -> bool:
        """Whether it is running; not after it had to be killed."""
        return self._connection is not None

    def ask(
        self, operation: str, value: object, seconds: float, stopped: Callable[[], bool]
    ) -> list[int] | str:
        """Return the result of an operation of `Tokenizer`; see `TokenizerProcess` for what it raises."""
        if self._connection is None:
            self._pid, self._connection = self._host.fork()
        part = "tokenizer"
        if operation in USES_TEMPLATE and self._host.has_chat_template:
            part = "chat template"
        try:
            self._connection.send_bytes(json.dumps([operation, value]).encode())
            deadline = time.monotonic() + seconds
            while (reply := self._next_reply(part, seconds, deadline, stopped))[:1] == b"S":
                part = "tokenizer"
        except (OSError, EOFError) as error:
            raise self._crashed(part) from error
        except BaseException:
            self.close()
            raise
        return _read(reply, part)

    def close(self) -> None:
        """Kill it, if it is running."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._host.kill(self._pid)

    def _next_reply(self, part: str, seconds: float, deadline: float, stopped: Callable[[], bool]) -> bytes:
        connection, grace = self._connection, 0.0
        assert connection is not None
        # Not `connection.poll`, which makes a selector each time: an answer waits here for every chunk.
        while not select.select([connection], [], [], POLL_SECONDS)[0]:
            now = time.monotonic()
            if now > deadline:
                raise EngineError(
                    "prompt-timeout",
                    f"The checkpoint's {part} did not finish within {seconds:g} seconds.",
                    f"It may never end for this text. {OTHER_COPY}",
                )
            if stopped():
                grace = grace or now + GRACE_SECONDS
                if now > grace:
                    raise Stopped
        return connection.recv_bytes(MAX_REPLY)

    def _crashed(self, part: str) -> EngineError:
        connection, self._connection = self._connection, None
        assert connection is not None
        connection.close()
        self._host.kill(self._pid)
        return EngineError("prompt-memory", f"The checkpoint's {part} {TOO_MUCH}.", OTHER_COPY)


def _read(reply: bytes, part: str) -> list[int] | str:
    kind, body = reply[:1], reply[1:]
    if kind == b"T":
        return body.decode("utf-8", "replace")
    if kind == b"I":
        ids = array("q")
        ids.frombytes(body)
        return ids.tolist()
    error = json.loads(body)
    if error["code"] == "memory":
        raise EngineError("prompt-memory", f"The checkpoint's {part} {TOO_MUCH}.", OTHER_COPY)
    if error["code"] == "failed":
        message = f"The checkpoint's {part} failed for this text: {error['message']}."
        raise EngineError("tokenizer-failed", message, OTHER_COPY)
    raise EngineError(**error)
