"""Run requests in a thread, one token per step, and count the KV blocks."""

from __future__ import annotations

import json
import queue
import threading
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tensorrt_llm import _double
from tensorrt_llm._torch.pyexecutor.sampler import sampling_values
from tensorrt_llm.executor.result import GenerationResult
from tensorrt_llm.sampling_params import SamplingParams

if TYPE_CHECKING:
    import torch


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
        import torch

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
        self._generator = torch.Generator().manual_seed(42)
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
        import torch

        while request := self._requests.get():
            result, params, end_id = request
            try:
                with torch.inference_mode():
                    self._answer(result, params, end_id)
            except Exception as error:
                result.put(f"{type(error).__name__}: {error}")

    def _answer(self, result: GenerationResult, params: SamplingParams, end_id: int | None) -> None:
        import torch

        if params.return_context_logits and not self._context_logits:
            raise RuntimeError("Return context logit need to build engine with gather_context_logits")
        prompt = result.prompt_token_ids
        cached = self._cached_ids
        same = next((n for n, (a, b) in enumerate(zip(prompt, cached)) if a != b), None)  # noqa: B905
        same = min(len(prompt), len(cached)) if same is None else same
        reused = min(same, len(prompt) - 1) // self.block_tokens
        self._reused += reused
        result.cached_tokens = reused * self.block_tokens
        settings = sampling_values(_sampling_config(params))
        seed = settings.get("random_seed")
        # Without a seed the requests share one generator, which moves on from one to the next.
        generator = self._generator if seed is None else torch.Generator().manual_seed(seed)
        inputs, cache, new = torch.tensor([prompt]), None, 0
        tokens, reason = list(prompt), None
        while reason is None:
            output = self.model(inputs, past_key_values=cache, use_cache=True)
            if new == 0 and params.return_context_logits:
                result.context_logits = output.logits[0]
            cache = output.past_key_values
            token = _sample(output.logits[0, -1], tokens, settings, generator)
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
            _double.on_token(new, result)
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
        # This executor runs one request at a time.
        record |= {"numActiveRequests": int(bool(tokens)), "numQueuedRequests": self._requests.qsize()}
        self.records.append(IterationStats({**record, "staticBatchingStats": None, "gpuMemUsage": 10**9}))


def _sampling_config(params: SamplingParams) -> SimpleNamespace:
    """Return the settings of a request by the names of the library's `SamplingConfig`."""
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
    return SimpleNamespace(
        **{name: getattr(params, name) for name in names}, random_seed=params.seed, seed=params.seed
    )


def _sample(logits: torch.Tensor, tokens: list[int], settings: dict[str, Any], generator: Any) -> int:
    """Choose a token by those settings that the release reads."""
    import torch

    logits = logits.float().clone()
    if penalty := settings.get("repetition_penalty"):
        seen = torch.tensor(sorted(set(tokens)))
        values = logits[seen]
        logits[seen] = torch.where(values > 0, values / penalty, values * penalty)
    top_k, top_p, temperature = settings["top_k"], settings["top_p"], settings["temperature"]
    if top_k == 1 or (top_k is None and top_p is None and temperature is None):
        return int(logits.argmax())
    probabilities = (logits / (temperature or 1.0)).softmax(-1)
    order = probabilities.argsort(descending=True)
    ranked = probabilities[order]
    keep = (ranked.cumsum(0) - ranked) < (top_p or 1.0)
    keep &= ranked >= (settings.get("min_p") or 0.0) * ranked[0]
    if top_k:
        keep[top_k:] = False
    return int(order[torch.multinomial(ranked * keep, 1, generator=generator)])
