"""Several requests in one ContinuousBatchingPipeline, which is loaded for them alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import openvino_genai as genai

from engines.backends.batch import Batch, BatchCounts, BatchOutput, BatchRequest
from engines.backends.openvino.pipeline import Pipeline, PipelineSettings
from engines.backends.openvino.request import GenerationRequest, generation_config
from engines.worker.protocol import KVUsage


class OpenVINOBatch(Batch):
    """Steps a pipeline whose KV cache all users share.

    Without prefix caching, so that every prompt is computed: repeated prompts would have a TTFT of almost
    nothing, and the blocks of a request are its own.
    """

    def __init__(self, settings: PipelineSettings, kv_tokens: int, reopen: Callable[[], None]) -> None:
        """Load the engine with a KV cache of `kv_tokens`.

        Args:
            reopen: loads the engine for single prompts again; called by `close`.

        Raises:
            EngineError: `load-failed`.
        """
        self._pipeline = Pipeline(replace(settings, context=kv_tokens), prefix_caching=False)
        self._reopen = reopen
        self._requests: dict[int, tuple[Any, GenerationRequest]] = {}
        """The library's handle of each request that has not ended, and its output so far."""
        self._tokens: dict[int, int] = {}
        """Tokens of prompt and answer of each."""

    def add(self, request: BatchRequest) -> None:
        """See `Batch.add`."""
        config = generation_config(request.sampling, request.eos_token_ids)
        handle = self._pipeline.add_request(request.token_ids, config)
        self._requests[request.number] = handle, GenerationRequest()
        self._tokens[request.number] = len(request.token_ids)

    def step(self) -> list[BatchOutput]:
        """See `Batch.step`. One step of the library: a token of each running request, or parts of prompts."""
        if self._pipeline.is_busy:
            self._pipeline.step()
        now = time.monotonic_ns()
        outputs = []
        for number, (handle, answer) in list(self._requests.items()):
            new = len(answer.read(handle))
            ended = handle.get_status() != genai.GenerationStatus.RUNNING
            if not new and not ended:
                continue
            self._tokens[number] += new
            reason = self._reason(handle, answer) if ended else ""
            outputs.append(BatchOutput(number, new, now, reason))
            if ended:
                del self._requests[number], self._tokens[number]
        return outputs

    @staticmethod
    def _reason(handle: Any, answer: GenerationRequest) -> str:
        dropped = handle.get_status() == genai.GenerationStatus.IGNORED
        return "context" if dropped else answer.reason  # the cache is too small for this request alone

    def cancel(self) -> None:
        """See `Batch.cancel`. The library drops cancelled requests in its next step."""
        for handle, _ in self._requests.values():
            handle.cancel()
        while self._pipeline.is_busy:
            self._pipeline.step()
        self._requests.clear()
        self._tokens.clear()

    def counts(self) -> BatchCounts:
        """See `Batch.counts`: those of the library's last step."""
        running, accepted = self._pipeline.request_counts() if self._pipeline.is_busy else (0, 0)
        return BatchCounts(running, max(0, accepted - running))

    def kv_usage(self) -> KVUsage:
        """See `Batch.kv_usage`: blocks as the library reports them, tokens of unfinished requests."""
        return self._pipeline.kv_usage(sum(self._tokens.values()))

    def close(self) -> None:
        """See `Batch.close`."""
        self._pipeline.close()
        self._reopen()
