"""Limits how much a worker may send. Standard library only, Python 3.10 and newer."""

from __future__ import annotations

import time

from engines.worker.codec import ProtocolError

FLOOD_LINES, FLOOD_RATE = 10_000, 1_000
"""Lines in a burst, and lines per second after it, that only a broken worker sends; an answer takes about 60.
A limit by the second alone would depend on how fast this machine reads."""
FLOOD_BYTES, FLOOD_BYTE_RATE = 128_000_000, 4_000_000
"""The same in bytes: the burst is two of the longest messages, and an answer takes some KB per second."""


class FloodLimit:
    """Two budgets that fill again with time: lines and bytes."""

    def __init__(self) -> None:
        self._lines, self._bytes = float(FLOOD_LINES), float(FLOOD_BYTES)
        self._last = time.monotonic()

    def take(self, size: int) -> None:
        """Count a line of `size` bytes.

        Raises:
            ProtocolError: the worker sends too much.
        """
        now = time.monotonic()
        passed, self._last = now - self._last, now
        self._lines = min(FLOOD_LINES, self._lines + passed * FLOOD_RATE) - 1
        self._bytes = min(FLOOD_BYTES, self._bytes + passed * FLOOD_BYTE_RATE) - size
        if self._lines < 0:
            raise ProtocolError(f"more than {FLOOD_RATE:,} lines per second")
        if self._bytes < 0:
            raise ProtocolError(f"more than {FLOOD_BYTE_RATE:,} bytes per second")
