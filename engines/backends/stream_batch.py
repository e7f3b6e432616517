"""A batch over a library that has a stream for each request: one thread reads each stream.

The library, or the server behind it, batches the requests. Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from engines.backends.base import Emit, Generated, Stopped
from engines.backends.batch import Batch, BatchCounts, BatchOutput, BatchRequest
from engines.errors import EngineError
from engines.worker.protocol import KVUsage

Answer = Callable[[BatchRequest, Emit, Stopped], Generated]
"""Runs one request as `Backend.generate` does; called from several threads at once."""
WAIT_SECONDS = 0.1
"""How long `step` waits for a token."""
CANCEL_SECONDS = 5.0
"""How long cancelled streams may take to end."""


class StreamBatch(Batch):
    """Requests that are read by one thread each."""

    def __init__(
        self,
        answer: Answer,
        counts: Callable[[], BatchCounts | None] = lambda: None,
        kv_usage: Callable[[], KVUsage | None] = lambda: None,
        reopen: Callable[[], None] = lambda: None,
    ) -> None:
        """Create it.

        Args:
            answer: runs one request.
            counts: returns what the library or server reports; see `Batch.counts`.
            kv_usage: as `Batch.kv_usage`.
            reopen: loads the engine for single prompts again; called by `close`.
        """
        self._answer, self._counts, self._kv_usage, self._reopen = answer, counts, kv_usage, reopen
        self._outputs: queue.SimpleQueue[BatchOutput | BaseException] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, request: BatchRequest) -> None:
        """See `Batch.add`. A refusal is raised by the next `step`."""
        thread = threading.Thread(
            target=self._run, args=(request,), daemon=True, name=f"request {request.number}"
        )
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _run(self, request: BatchRequest) -> None:
        def emit(token_ids: Sequence[int]) -> None:
            self._outputs.put(BatchOutput(request.number, len(token_ids), time.monotonic_ns()))

        try:
            generated = self._answer(request, emit, self._cancelled.is_set)
            self._outputs.put(BatchOutput(request.number, 0, time.monotonic_ns(), generated.reason))
        except BaseException as error:
            self._outputs.put(error)

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
        self._cancelled.set()
        deadline = time.monotonic() + CANCEL_SECONDS
        for thread in self._threads:
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
