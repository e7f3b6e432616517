"""Several requests in one `LLM`, which batches them in flight: a stream for each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engines.backends.batch import BatchOutput, BatchRequest
from engines.backends.stream_batch import StreamBatch
from engines.backends.tensorrt_llm.failures import translate_errors
from engines.backends.tensorrt_llm.sampling_params import sampling_fields
from engines.backends.tensorrt_llm.statistics import Statistics
from engines.worker.protocol import KVUsage

REASONS = {"stop": "stop", "length": "length", "cancelled": "stopped", "timeout": "stopped"}
"""Our finish reason by the library's."""


class RequestStream:
    """A request that the library has accepted."""

    def __init__(self, number: int, result: Any) -> None:
        self._number, self._result = number, result
        self._aborted = False

    def read(self, put: Callable[[BatchOutput], None]) -> None:
        """See `engines.backends.stream_batch.Stream`. The same object is yielded, updated at every step."""
        output = self._result
        with translate_errors("answering"):
            for output in self._result:
                if new := output.outputs[0].token_ids_diff:
                    put(BatchOutput(self._number, len(new), time.monotonic_ns()))
        reason = REASONS.get(str(output.outputs[0].finish_reason), "stopped")
        put(BatchOutput(self._number, 0, time.monotonic_ns(), "stopped" if self._aborted else reason))

    def cancel(self) -> None:
        """See `engines.backends.stream_batch.Stream`."""
        self._aborted = True
        self._result.abort()


def open_streams(
    llm: Any,
    statistics: Statistics,
    kv_usage: Callable[[], KVUsage | None],
    reopen: Callable[[], None],
) -> StreamBatch:
    """Return the batch of a started `LLM`.

    Requests are given to the library, and cancelled, by the main thread only: its queue is no thread's but
    the one that made it.

    Args:
        reopen: starts the engine for single prompts again.
    """
    from tensorrt_llm import SamplingParams

    def begin(request: BatchRequest) -> RequestStream:
        params = SamplingParams(**sampling_fields(request.sampling, request.eos_token_ids))
        with translate_errors("answering"):
            result = llm.generate_async(list(request.token_ids), sampling_params=params, streaming=True)
        return RequestStream(request.number, result)

    statistics.begin()
    return StreamBatch(begin, lambda: statistics.counts, kv_usage, reopen)
