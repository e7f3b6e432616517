"""Find, signal and wait for a worker and the processes it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

import psutil


def members(pid: int) -> list[psutil.Process]:
    """Return the worker, all its descendants and all other processes in its session.

    A process whose parent died is no longer a descendant, but it stays in the session.
    """
    found = {pid: psutil.Process(pid)} if psutil.pid_exists(pid) else {}
    for process in list(found.values()):
        with contextlib.suppress(psutil.Error):
            found |= {child.pid: child for child in process.children(recursive=True)}
    for other in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if other not in found and os.getsid(other) == pid:
                found[other] = psutil.Process(other)
    return list(found.values())


def signal_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to the processes that still exist."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


async def wait_gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Wait until no process runs; return False if `seconds` pass first.

    psutil.wait_procs is not used: it would reap the child before asyncio does, and the exit code would be
    lost.
    """
    deadline = time.monotonic() + seconds
    while any(map(_is_running, processes)):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def _is_running(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
