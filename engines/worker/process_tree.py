"""A worker and the processes that it started: find them, signal them, wait for their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

import psutil


class ProcessTree:
    """The process that leads a session, its descendants, and every other process of its session.

    A process whose parent died is no longer a descendant, but it stays in the session.
    """

    def __init__(self, pid: int) -> None:
        """Create it while the process runs, or has ended and was not waited for."""
        self._pid = pid
        self._leader: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):
            self._leader = psutil.Process(pid)
        self._signalled: list[psutil.Process] = []

    def members(self) -> list[psutil.Process]:
        """Return the processes that exist now.

        Once the leader was waited for and its session is empty, the system may give its id to another
        program: psutil's `is_running` compares the time of creation, and the tree is empty then.
        """
        if self._leader is None or (psutil.pid_exists(self._pid) and not self._leader.is_running()):
            return []
        found = {}
        with contextlib.suppress(psutil.Error):
            found = {child.pid: child for child in self._leader.children(recursive=True)}
        if self._leader.is_running():
            found[self._pid] = self._leader
        for other in psutil.pids():
            with contextlib.suppress(OSError, psutil.Error):
                if other not in found and os.getsid(other) == self._pid:
                    found[other] = psutil.Process(other)
        return list(found.values())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every member."""
        self._signalled = self.members()
        for process in self._signalled:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    async def wait_ended(self, seconds: float) -> bool:
        """Wait until the processes that were signalled last have ended; False when `seconds` have passed.

        Not psutil's own wait: it would reap our child before asyncio does, and lose its exit code.
        """
        deadline = time.monotonic() + seconds
        while any(map(runs, self._signalled)):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True


def runs(process: psutil.Process) -> bool:
    """Return whether a process exists and is not a zombie."""
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
