"""A time limit for calls into native code that may never return."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engines.backends.base import Report
from engines.errors import EngineError


@contextmanager
def deadline(seconds: float, report: Report, error: EngineError) -> Iterator[None]:
    """Report `error` and end the process if the block takes longer: its thread cannot be interrupted."""
    timer = threading.Timer(seconds, report.abort, (error,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
