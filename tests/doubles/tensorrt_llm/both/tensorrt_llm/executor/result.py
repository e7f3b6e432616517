"""Results: one object per answer, updated at every step."""

from __future__ import annotations

import asyncio
import queue
from dataclasses import dataclass, field
from typing import Any

from tensorrt_llm.executor.utils import RequestError


@dataclass
class CompletionOutput:
    """The answer so far."""

    index: int = 0
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    cumulative_logprob: float | None = None
    logprobs: Any = None
    prompt_logprobs: Any = None
    finish_reason: str | None = None
    stop_reason: Any = None
    generation_logits: Any = None
    request_perf_metrics: Any = None
    _last_token_ids_len: int = field(default=0, init=False, repr=False)
    _last_text_len: int = field(default=0, init=False, repr=False)

    @property
    def length(self) -> int:
        """Number of tokens so far."""
        return len(self.token_ids)

    @property
    def text_diff(self) -> str:
        """Text that the last step added."""
        return self.text[self._last_text_len :]

    @property
    def token_ids_diff(self) -> list[int]:
        """Tokens that the last step added."""
        return self.token_ids[self._last_token_ids_len :]


class GenerationResult:
    """As in the library, an asyncio queue if it is created inside an event loop, otherwise a thread queue."""

    def __init__(self, prompt_token_ids: list[int]) -> None:
        self.prompt_token_ids = prompt_token_ids
        self.outputs = [CompletionOutput()]
        self.cached_tokens = 0
        self.context_logits: Any = None
        self.queue: queue.Queue[Any] = queue.Queue()
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
            self.aqueue: asyncio.Queue[Any] | None = asyncio.Queue()
        except RuntimeError:
            self._loop = self.aqueue = None
        self._done = self._aborted = False

    @property
    def finished(self) -> bool:
        """Whether the answer has ended."""
        return self._done

    def abort(self) -> None:
        """Ask the executor to end the answer. Tokens that are computed already are still delivered."""
        self._aborted = True

    def aborted(self) -> bool:
        """Return whether `abort` was called."""
        return self._aborted

    def put(self, response: Any) -> None:
        """Add a response; called by the executor's thread."""
        if self._loop is not None and self.aqueue is not None:
            self._loop.call_soon_threadsafe(self.aqueue.put_nowait, response)
        else:
            self.queue.put(response)

    def _handle(self, response: Any) -> GenerationResult:
        if isinstance(response, str):
            self._done = True
            raise RequestError(response)
        output = self.outputs[0]
        output._last_token_ids_len = len(output.token_ids)
        token_ids, reason = response
        output.token_ids += token_ids
        if reason:
            output.finish_reason, self._done = reason, True
        return self

    def __iter__(self) -> GenerationResult:
        return self

    def __next__(self) -> GenerationResult:
        if self._done:
            raise StopIteration
        return self._handle(self.queue.get())

    def __aiter__(self) -> GenerationResult:
        return self

    async def __anext__(self) -> GenerationResult:
        if self._done:
            raise StopAsyncIteration
        assert self.aqueue is not None, (
            "The asyncio event loop was not present during initialization, "
            "so async operations are not available."
        )
        return self._handle(await self.aqueue.get())

    def result(self, timeout: float | None = None) -> GenerationResult:
        """Wait for the end of the answer."""
        for _ in self:
            pass
        return self
