"""The library's statistics, read in a thread: reading drains them, and one known way of it blocks.

The classic path waits `timeout` after the last record and then delivers nothing before the next prompt;
the newer one fetches at once. An empty list is normal in both: the last record stays.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

READ_SECONDS = 0.25
WAIT_SECONDS = 0.05
"""How long a read may wait for one more record."""


class Statistics:
    """The latest `kvCacheStats`.

    Attributes:
        fullest: the record of the last answer with the most blocks in use; None before there is one.
    """

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._reading = threading.Lock()
        self._answering = threading.Event()
        self._closed = threading.Event()
        self.fullest: Mapping[str, Any] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="statistics")
        self._thread.start()

    def begin(self) -> None:
        """An answer begins."""
        self.fullest = None
        self._answering.set()

    def end(self) -> None:
        """It ended: read what is left."""
        self._answering.clear()
        self._read()

    def close(self) -> None:
        """Read no more: the library is shut down next."""
        self._closed.set()
        self._answering.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while self._answering.wait() and not self._closed.wait(READ_SECONDS):
            self._read()

    def _read(self) -> None:
        with self._reading:
            try:
                records = self._llm.get_stats(timeout=WAIT_SECONDS)
            except Exception as error:  # prototypes: an answer is worth more than a panel
                print(f"no statistics: {type(error).__name__}: {error}")
                return
        for stats in cache_stats(records or ()):
            if self.fullest is None or stats["usedNumBlocks"] >= self.fullest["usedNumBlocks"]:
                self.fullest = stats


def cache_stats(records: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The `kvCacheStats` of records, whatever else they hold or lack."""
    found = [record.get("kvCacheStats") for record in records if isinstance(record, Mapping)]
    names = ("maxNumBlocks", "freeNumBlocks", "usedNumBlocks", "tokensPerBlock")
    return [one for one in found if isinstance(one, Mapping) and all(type(one.get(n)) is int for n in names)]
