"""What programs other than this one and its children use of the processor."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import NamedTuple

import psutil

READINGS = 240
"""Two minutes at two readings a second."""
BUSY_PERCENT = 15.0
"""Of all cores or of a GPU. While other programs use more, a speed should not be quoted."""
SHORTEST_SECONDS = 1.0
"""The system counts CPU time in steps of 10 ms: a share of less time than this is not exact."""


class _Reading(NamedTuple):
    moment: float
    """Monotonic seconds."""
    busy: float
    """CPU seconds of all programs."""
    own: float
    """CPU seconds of this process and its children, those that have ended included."""


class OtherPrograms:
    """Reads the clocks regularly. Use `read` from one thread at a time."""

    def __init__(self) -> None:
        self._readings: deque[_Reading] = deque(maxlen=READINGS)

    def read(self, own_seconds: float) -> None:
        """Take a reading.

        Args:
            own_seconds: CPU seconds of this process and its children.
        """
        self._readings.append(_Reading(time.monotonic(), busy_seconds(), own_seconds))

    def percent(self, since: float) -> float | None:
        """Return what other programs used of all cores from `since` to the newest reading, in percent.

        A period of less than SHORTEST_SECONDS is extended into the past. None before the first readings.
        """
        readings = tuple(self._readings)
        if not readings:
            return None
        last = readings[-1]
        since = min(since, last.moment - SHORTEST_SECONDS)
        first = next((one for one in reversed(readings) if one.moment <= since), readings[0])
        if first is last:
            return None
        used = (last.busy - first.busy) - (last.own - first.own)
        return max(0.0, used / (last.moment - first.moment) / (psutil.cpu_count() or 1) * 100)


def busy_seconds() -> float:
    """Return the CPU seconds of all programs since the system was started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the CPU seconds of processes and of their children that have ended."""
    seconds = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            seconds += sum(process.cpu_times()[:4])
    return seconds
