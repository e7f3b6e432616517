"""Several requests to one server at once, which it batches or lets wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engines.backends.batch import BatchCounts, BatchOutput, BatchRequest
from engines.backends.endpoint.answering import Answering
from engines.backends.remote import Conversation, Ended, Piece
from engines.backends.stream_batch import StreamBatch
from engines.worker.protocol import KVUsage
from engines.worker.remote_answer import CHARACTERS_PER_TOKEN

USAGE_SECONDS = 0.5
"""Pause between two looks at the server's metrics."""


class RequestStream:
    """One request, which is sent when it is read."""

    def __init__(self, request: BatchRequest, answering: Answering) -> None:
        self._request, self._answering = request, answering
        self._cancelled = threading.Event()
        self._too_long = False
        """Whether the server sends more than was asked for."""
        self._tokens = self._characters = 0
        self._uncounted = False
        """Whether the server did not count the tokens of a piece, which then counts as one."""

    def read(self, put: Callable[[BatchOutput], None]) -> None:
        """See `engines.backends.stream_batch.Stream`."""
        request = self._request
        message = {"role": "user", "content": request.prompt}
        ended = self._answering.answer(
            Conversation((message,), request.sampling),
            lambda _: None,
            lambda piece: self._take(piece, put),
            lambda: self._too_long or self._cancelled.is_set(),
            confirm=False,
        )
        put(self._ended(ended))

    def cancel(self) -> None:
        """See `engines.backends.stream_batch.Stream`."""
        self._cancelled.set()

    def _take(self, piece: Piece, put: Callable[[BatchOutput], None]) -> None:
        most = self._request.sampling.max_tokens
        new = 1 if piece.tokens is None else piece.tokens
        self._characters += len(piece.text) + len(piece.thought)
        self._too_long |= self._tokens + new > most or self._characters > most * CHARACTERS_PER_TOKEN
        new = min(new, most - self._tokens)
        if new:
            self._tokens += new
            self._uncounted |= piece.tokens is None
            put(BatchOutput(self._request.number, new, piece.t_ns, estimated=self._uncounted))

    def _ended(self, ended: Ended) -> BatchOutput:
        """Return the end, with the tokens as the server counts them in all, if it does."""
        server, cut = ended.server, self._too_long or self._cancelled.is_set()
        return BatchOutput(
            self._request.number,
            0,
            time.monotonic_ns(),
            "length" if self._too_long else ended.reason,
            estimated=self._uncounted if cut else server.counted_by == "estimate",
            total=None if cut or server.tokens == self._tokens else server.tokens,
            prompt_tokens=server.prompt_tokens,
        )


class UsageReader:
    """Reads the server's metrics in its own thread: a busy server answers late, and a stop must not wait."""

    def __init__(self, read: Callable[[], KVUsage | None]) -> None:
        self._read = read
        self._closed = threading.Event()
        self.usage: KVUsage | None = None
        """The newest; None if the server reports none."""
        threading.Thread(target=self._run, daemon=True, name="usage").start()

    def close(self) -> None:
        """Read no more, without waiting for an answer."""
        self._closed.set()

    def counts(self) -> BatchCounts | None:
        """Return the requests as the server counts them, other clients' included."""
        return None if self.usage is None else BatchCounts(self.usage.running, self.usage.waiting)

    def _run(self) -> None:
        while not self._closed.is_set():
            self.usage = self._read() or self.usage
            self._closed.wait(USAGE_SECONDS)


def open_streams(answering: Answering, kv_usage: Callable[[], KVUsage | None]) -> StreamBatch:
    """Return a batch of requests to a server.

    Args:
        kv_usage: returns what the server's metrics say; called from another thread.
    """
    reader = UsageReader(kv_usage)
    return StreamBatch(
        lambda request: RequestStream(request, answering), reader.counts, lambda: reader.usage, reader.close
    )
