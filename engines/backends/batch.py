"""Several requests in one engine: a batch that requests enter and leave while others run.

`Backend.open_batch` returns one. A library with a step function implements `Batch`; one with a stream for
each request uses `engines.backends.stream_batch`. Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from engines.worker.protocol import KVUsage, Sampling


@dataclass(frozen=True)
class BatchRequest:
    """A request of a load test."""

    number: int
    """From 0, in the order of arrival."""
    prompt: str
    """What the user wrote: for a server that applies the chat template itself."""
    token_ids: Sequence[int]
    """The prompt with the chat template; empty for a server."""
    sampling: Sampling
    eos_token_ids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class BatchOutput:
    """What a step added to one request."""

    number: int
    tokens: int
    """New tokens, as the library counts them; 1 for a piece of text whose tokens a server does not count."""
    t_ns: int
    """When the library yielded them: monotonic clock, nanoseconds."""
    reason: str = ""
    """Finish reason, one of `engines.worker.protocol.FINISH_REASONS`; empty while the request runs."""
    estimated: bool = False
    """Whether the number of the request's tokens so far, or with the reason `total`, is not counted."""
    total: int | None = None
    """With the reason: tokens of the answer, where that is not the sum of `tokens`."""
    prompt_tokens: int | None = None
    """With the reason: tokens of the prompt, where a server reports them."""


@dataclass(frozen=True)
class BatchCounts:
    """Requests as the library counts them."""

    running: int | None
    """In the batch of the last step; None if only the others are reported."""
    waiting: int | None
    """Accepted, and not in it."""


class Batch(ABC):
    """Requests that an engine runs together. Called from the worker's main thread."""

    @abstractmethod
    def add(self, request: BatchRequest) -> None:
        """Give a request to the library, which may let it wait.

        Raises:
            EngineError: the library refuses it.
        """

    @abstractmethod
    def step(self) -> list[BatchOutput]:
        """Return what is new since the last call; blocks for one step, and at most for a tenth of a second.

        Raises:
            EngineError: the engine failed.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Cancel every request; `step` returns no more of them."""

    def counts(self) -> BatchCounts | None:
        """Return the requests that run and wait; None if the library does not report them."""
        return None

    def kv_usage(self) -> KVUsage | None:
        """Return the usage of the KV cache; None if the library does not report it."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Cancel what is left, and load the engine for single prompts again.

        Raises:
            EngineError: it cannot be loaded again.
        """
