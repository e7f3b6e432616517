"""A worker and the processes it started: found, signalled, waited for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

import psutil


def members(pid: int) -> list[psutil.Process]:
    """The worker with all its descendants and everybody else in its session.

    A process whose parent died is no descendant any more, but it stays in the session.
    """
    members = {pid: psutil.Process(pid)} if psutil.pid_exists(pid) else {}
    for process in list(members.values()):
        with contextlib.suppress(psutil.Error):
            members |= {child.pid: child for child in process.children(recursive=True)}
    for other in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if other not in members and os.getsid(other) == pid:
                members[other] = psutil.Process(other)
    return list(members.values())


def signal_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


async def wait_gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Wait until none of them runs.

    Not psutil's own wait: it would reap our child before asyncio does, and its exit code would be lost.
    """
    deadline = time.monotonic() + seconds
    while any(map(_runs, processes)):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
