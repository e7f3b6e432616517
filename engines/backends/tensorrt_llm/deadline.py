"""A limit for calls into native code that may never come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engines.backends.base import Report
from engines.errors import EngineError


@contextmanager
def deadline(seconds: float, report: Report, words: EngineError) -> Iterator[None]:
    """Tell `words` and end the process when the block takes longer: nothing can interrupt its thread."""
    timer = threading.Timer(seconds, report.give_up, (words,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
