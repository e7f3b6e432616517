"""A time limit for calls into native code that may never return."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engines.backends.base import Report
from engines.environments.activity import Activity
from engines.errors import EngineError

LOOK_SECONDS = 0.5


@contextmanager
def deadline(
    seconds: float, report: Report, error: EngineError, idle_seconds: float | None = None
) -> Iterator[None]:
    """Report `error` and end the process if the block takes longer: its thread cannot be interrupted.

    Args:
        seconds: the most that the block may take.
        idle_seconds: how long the process may neither compute nor read meanwhile; None: `seconds`.
    """
    ended = threading.Event()

    def watch() -> None:
        activity, limit = Activity(os.getpid()), time.monotonic() + seconds
        while not ended.wait(LOOK_SECONDS):
            idle = activity.idle_seconds()
            if time.monotonic() > limit or (idle_seconds is not None and idle > idle_seconds):
                report.abort(error)

    threading.Thread(target=watch, daemon=True, name="deadline").start()
    try:
        yield
    finally:
        ended.set()
