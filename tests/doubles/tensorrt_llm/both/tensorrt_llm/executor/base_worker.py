"""Run requests in a thread, one token per step, and count the KV blocks."""

from __future__ import annotations

import json
import queue
import threading
from collections import deque
from typing import Any

import torch

from tensorrt_llm import _double
from tensorrt_llm.executor.result import GenerationResult
from tensorrt_llm.sampling_params import SamplingParams


class IterationStats:
    """Statistics of one step."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def to_json_str(self) -> str:
        """Return the JSON, like the C++ class."""
        return json.dumps(self._values)


class BaseWorker:
    """The executor of the double."""

    def __init__(
        self, model: Any, tokens: int, block_tokens: int, *, statistics: bool, context_logits: bool
    ) -> None:
        self.model = model
        self.block_tokens = block_tokens
        self.blocks = max(1, tokens // block_tokens)
        self.records: deque[IterationStats] = deque(maxlen=1000)
        self._statistics = statistics
        self._context_logits = context_logits
        self._requests: queue.Queue[tuple[GenerationResult, SamplingParams, int | None] | None] = (
            queue.Queue()
        )
        self._cached_ids: list[int] = []
        self._reused = self._allocated = self._iteration = 0
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, result: GenerationResult, params: SamplingParams, end_id: int | None) -> None:
        """Queue a request."""
        self._requests.put((result, params, end_id))

    def clear_cache(self) -> None:
        """Clear the KV cache, so that the next prompt has no cache hits."""
        self._cached_ids = []

    @staticmethod
    def _stats_serializer(stats: IterationStats) -> dict[str, Any]:
        return dict(json.loads(stats.to_json_str()))

    def fetch(self) -> list[dict[str, Any]]:
        """Return and remove all records."""
        found = []
        while self.records:
            found.append(self._stats_serializer(self.records.popleft()))
        return found

    def _run(self) -> None:
        while request := self._requests.get():
            result, params, end_id = request
            try:
                with torch.inference_mode():
                    self._answer(result, params, end_id)
            except Exception as error:
                result.put(f"{type(error).__name__}: {error}")

    def _answer(self, result: GenerationResult, params: SamplingParams, end_id: int | None) -> None:
        if params.return_context_logits and not self._context_logits:
            raise RuntimeError("Return context logit need to build engine with gather_context_logits")
        prompt = result.prompt_token_ids
        cached = self._cached_ids
        same = next((n for n, (a, b) in enumerate(zip(prompt, cached)) if a != b), None)  # noqa: B905
        same = min(len(prompt), len(cached)) if same is None else same
        reused = min(same, len(prompt) - 1) // self.block_tokens
        self._reused += reused
        result.cached_tokens = reused * self.block_tokens
        generator = torch.Generator().manual_seed(params.seed or 0)
        inputs, cache, new = torch.tensor([prompt]), None, 0
        tokens, reason = list(prompt), None
        while reason is None:
            output = self.model(inputs, past_key_values=cache, use_cache=True)
            if new == 0 and params.return_context_logits:
                result.context_logits = output.logits[0]
            cache = output.past_key_values
            token = _sample(output.logits[0, -1], tokens, params, generator)
            tokens.append(token)
            new += 1
            self._count(tokens)
            if result.aborted():
                reason = "cancelled"
            elif token == end_id and not params.ignore_eos:
                reason = "stop"
            elif new >= params.max_tokens:
                reason = "length"
            result.put(([token], reason))
            _double.on_token(new)
            inputs = torch.tensor([[token]])
        self._cached_ids = tokens
        self._count([])

    def _count(self, tokens: list[int]) -> None:
        used = -(-len(tokens) // self.block_tokens)
        self._iteration += 1
        self._allocated = max(self._allocated, used)
        if not self._statistics:
            return
        cache = {
            "maxNumBlocks": self.blocks,
            "freeNumBlocks": self.blocks - used,
            "usedNumBlocks": used,
            "tokensPerBlock": self.block_tokens,
            "allocTotalBlocks": self._allocated,
            "allocNewBlocks": self._allocated,
            "reusedBlocks": self._reused,
            "missedBlocks": 0,
            "cacheHitRate": 0.0,
        }
        record = {"timestamp": "", "iter": self._iteration, "iterLatencyMS": 1.0, "kvCacheStats": cache}
        self.records.append(IterationStats({**record, "staticBatchingStats": None, "gpuMemUsage": 10**9}))


def _sample(logits: torch.Tensor, tokens: list[int], params: SamplingParams, generator: Any) -> int:
    logits = logits.float().clone()
    if params.repetition_penalty:
        seen = torch.tensor(sorted(set(tokens)))
        values = logits[seen]
        logits[seen] = torch.where(
            values > 0, values / params.repetition_penalty, values * params.repetition_penalty
        )
    if params.top_k == 1 or (params.top_k is None and params.top_p is None and params.temperature is None):
        return int(logits.argmax())
    probabilities = (logits / (params.temperature or 1.0)).softmax(-1)
    order = probabilities.argsort(descending=True)
    ranked = probabilities[order]
    keep = (ranked.cumsum(0) - ranked) < (params.top_p or 1.0)
    keep &= ranked >= (params.min_p or 0.0) * ranked[0]
    if params.top_k:
        keep[params.top_k :] = False
    return int(order[torch.multinomial(ranked * keep, 1, generator=generator)])
