"""Helpers for the tests of workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from engines.build.spec import EngineSpec
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import fork_worker

MISBEHAVING = Path(__file__).parents[2] / "doubles" / "misbehaving_worker.py"
LONG = protocol.Sampling(max_tokens=100_000, ignore_eos=True)


def pytorch_spec(checkpoint: Path, context: int = 2048, **fields: object) -> EngineSpec:
    """Return the spec of PyTorch fp32 on the CPU."""
    return EngineSpec(str(checkpoint), "pytorch", "fp32", context=context, **fields)  # type: ignore[arg-type]


async def load(process: EngineProcess, spec: EngineSpec, directory: str = "") -> protocol.Ready:
    """Load an engine and assert that it succeeded."""
    event = await process.ask(protocol.Load(process.next_id(), spec.to_json(), directory))
    assert isinstance(event, protocol.Ready), event
    return event


async def loaded(checkpoint: Path, log: Path, context: int = 2048) -> EngineProcess:
    """Start a worker and load PyTorch."""
    process = await fork_worker("pytorch", log)
    await load(process, pytorch_spec(checkpoint, context))
    return process


async def answer(
    process: EngineProcess, prompt: str | tuple[int, ...], sampling: protocol.Sampling
) -> list[protocol.Event]:
    """Return all events of one answer."""
    return [event async for event in process.run(generate(process, prompt, sampling))]


def generate(
    process: EngineProcess, prompt: str | tuple[int, ...], sampling: protocol.Sampling
) -> protocol.Generate:
    """Return the command for a text or for token ids."""
    identity = process.next_id()
    if isinstance(prompt, tuple):
        return protocol.Generate(identity, (), prompt, sampling)
    return protocol.Generate(identity, ({"role": "user", "content": prompt},), None, sampling)


def last_error(events: list[protocol.Event]) -> protocol.Error:
    """Return the last event, which must be an Error."""
    assert isinstance(events[-1], protocol.Error), events[-1]
    return events[-1]


async def eventually(condition: Callable[[], bool], seconds: float = 200.0) -> bool:
    """Return whether the condition becomes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


async def suspend(pid: int) -> None:
    """Stop a process with SIGSTOP; returns when it has stopped.

    A process of several threads continues until the thread that gets the signal is scheduled.
    """
    os.kill(pid, signal.SIGSTOP)
    assert await eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def is_gone(pid: int) -> bool:
    """Return whether there is no such process, not even a zombie."""
    return not psutil.pid_exists(pid)


def session_is_empty(pid: int) -> bool:
    """Return whether no process runs in the session of the worker."""
    for other in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(other) == pid and psutil.Process(other).status() != psutil.STATUS_ZOMBIE:
                return False
    return True
