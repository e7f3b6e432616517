"""Whether a process makes progress, so that a slow import is not taken for one that hangs.

Standard library only, Python 3.10 and newer: workers in other environments use it too.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

WORKING_SHARE = 0.02
"""Share of one core below which a process counts as idle; a worker's heartbeats take less than 0.001."""


class Activity:
    """Measures for how long a process has been idle. Where the system does not tell, it never is."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc") / str(pid)
        self._last = self._work()
        self._looked = self._active = time.monotonic()

    def idle_seconds(self) -> float:
        """Return for how many seconds the process has neither computed nor read, as of the last calls."""
        now, work = time.monotonic(), self._work()
        seconds, read = work[0] - self._last[0], work[1] - self._last[1]
        if not any(work) or read or seconds > WORKING_SHARE * (now - self._looked):
            self._active = now
        self._last, self._looked = work, now
        return now - self._active

    def _work(self) -> tuple[float, int]:
        """Return seconds of processor time, and bytes read from files; zeros where that is unknown."""
        try:
            fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])  # utime and stime, in proc(5)
            return ticks / os.sysconf("SC_CLK_TCK"), self._bytes_read()
        except (OSError, ValueError, IndexError):
            return 0.0, 0

    def _bytes_read(self) -> int:
        try:
            lines = (self._folder / "io").read_text().splitlines()
            # Of the disk, not `rchar`: that counts the reads of /proc which are made here.
            return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))
        except (OSError, StopIteration, ValueError, IndexError):
            return 0
