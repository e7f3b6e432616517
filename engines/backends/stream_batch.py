"""A batch over a library that has a stream for each request: one thread reads each stream.

The library, or the server behind it, batches the requests. Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from engines.backends.batch import Batch, BatchCounts, BatchOutput, BatchRequest
from engines.errors import EngineError
from engines.worker.protocol import KVUsage

WAIT_SECONDS = 0.1
"""How long `step` waits for a token."""
CANCEL_SECONDS = 5.0
"""How long cancelled streams may take to end."""


class Stream(Protocol):
    """One request that the library or server has accepted."""

    def read(self, put: Callable[[BatchOutput], None]) -> None:
        """Call `put` with what is new, at last with an output that has a finish reason. In its own thread.

        Raises:
            Exception: it failed; an EngineError is shown as it is.
        """

    def cancel(self) -> None:
        """Ask the library to end it: `read` then returns. In the worker's main thread."""


class StreamBatch(Batch):
    """Requests that are read by one thread each."""

    def __init__(
        self,
        begin: Callable[[BatchRequest], Stream],
        counts: Callable[[], BatchCounts | None] = lambda: None,
        kv_usage: Callable[[], KVUsage | None] = lambda: None,
        reopen: Callable[[], None] = lambda: None,
    ) -> None:
        """Create it.

        Args:
            begin: gives a request to the library or server; called in the worker's main thread.
            counts: returns what the library or server reports; see `Batch.counts`.
            kv_usage: as `Batch.kv_usage`.
            reopen: loads the engine for single prompts again; called by `close`.
        """
        self._begin, self._counts, self._kv_usage, self._reopen = begin, counts, kv_usage, reopen
        self._outputs: queue.SimpleQueue[BatchOutput | BaseException] = queue.SimpleQueue()
        self._streams: dict[threading.Thread, Stream] = {}
        """Those that are read, by the thread that does it."""

    def add(self, request: BatchRequest) -> None:
        """See `Batch.add`."""
        stream, name = self._begin(request), f"request {request.number}"
        thread = threading.Thread(target=self._read, args=(stream,), daemon=True, name=name)
        self._streams = {one: kept for one, kept in self._streams.items() if one.is_alive()}
        self._streams[thread] = stream
        thread.start()

    def _read(self, stream: Stream) -> None:
        outputs = self._outputs
        try:
            stream.read(outputs.put)
        except BaseException as error:
            outputs.put(error)

    def step(self) -> list[BatchOutput]:
        """See `Batch.step`."""
        found: list[BatchOutput] = []
        try:
            found.append(self._raised(self._outputs.get(timeout=WAIT_SECONDS)))
            while True:
                found.append(self._raised(self._outputs.get_nowait()))
        except queue.Empty:
            return found

    def _raised(self, output: BatchOutput | BaseException) -> BatchOutput:
        if isinstance(output, BatchOutput):
            return output
        if isinstance(output, EngineError):
            raise output
        raise EngineError("engine-failed", f"A request failed: {output}") from output

    def cancel(self) -> None:
        """See `Batch.cancel`. Waits until the streams have ended, for at most CANCEL_SECONDS."""
        for thread, stream in self._streams.items():
            if thread.is_alive():
                stream.cancel()
        deadline = time.monotonic() + CANCEL_SECONDS
        for thread in self._streams:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._outputs = queue.SimpleQueue()

    def counts(self) -> BatchCounts | None:
        """See `Batch.counts`."""
        return self._counts()

    def kv_usage(self) -> KVUsage | None:
        """See `Batch.kv_usage`."""
        return self._kv_usage()

    def close(self) -> None:
        """See `Batch.close`."""
        self.cancel()
        self._reopen()
