"""Read the library's statistics in a thread, because one of its two implementations blocks.

The old one waits `timeout` after the last record, and then returns nothing until the next prompt; the new one
returns immediately. Reading removes the records. Both may return an empty list: the last record is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from engines.backends.batch import BatchCounts

READ_SECONDS = 0.25
WAIT_SECONDS = 0.05
"""How long a read waits for another record."""


class Statistics:
    """Collects `kvCacheStats` while an answer is generated.

    Attributes:
        fullest: Of the current or last answer, the record with the most used blocks; None if there is none.
        latest: Of the last step that was read, its `kvCacheStats`; None if there is none.
        counts: Of the last step that was read, the requests in the batch and in the queue; None if unknown.
    """

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._reading = threading.Lock()
        self._answering = threading.Event()
        self._closed = threading.Event()
        self.fullest: Mapping[str, Any] | None = None
        self.latest: Mapping[str, Any] | None = None
        self.counts: BatchCounts | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="statistics")
        self._thread.start()

    def begin(self) -> None:
        """Start reading for a new answer."""
        self.fullest = self.latest = self.counts = None
        self._answering.set()

    def end(self) -> None:
        """Stop reading, after one last read."""
        self._answering.clear()
        self._read()

    def close(self) -> None:
        """End the thread, before the library is shut down."""
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
            except Exception as error:  # this API is a prototype: its failure must not end the answer
                print(f"cannot read statistics: {type(error).__name__}: {error}")
                return
        self.counts = request_counts(records or ()) or self.counts
        for stats in cache_stats(records or ()):
            self.latest = stats
            if self.fullest is None or stats["usedNumBlocks"] >= self.fullest["usedNumBlocks"]:
                self.fullest = stats


def cache_stats(records: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Return the valid `kvCacheStats` of records; all other content is ignored."""
    found = [record.get("kvCacheStats") for record in records if isinstance(record, Mapping)]
    return [stats for stats in found if _is_valid(stats)]


def request_counts(records: Sequence[Any]) -> BatchCounts | None:
    """Return the requests in the batch and in the queue, of the last record that has both numbers."""
    for record in reversed(records):
        if isinstance(record, Mapping):
            running, queued = record.get("numActiveRequests"), record.get("numQueuedRequests")
            if type(running) is int and type(queued) is int and min(running, queued) >= 0:
                return BatchCounts(running, queued)
    return None


def _is_valid(stats: Any) -> TypeGuard[Mapping[str, Any]]:
    names = ("maxNumBlocks", "freeNumBlocks", "usedNumBlocks", "tokensPerBlock")
    return isinstance(stats, Mapping) and all(type(stats.get(name)) is int for name in names)
