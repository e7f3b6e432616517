"""What backends share that run one graph, with a KV cache for one conversation that is updated in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from engines.backends.base import Backend, Emit, Generated, Scores, Stopped, require_loaded
from engines.backends.common_prefix import common_length
from engines.backends.distribution import no_distribution
from engines.worker.checks import check_ids
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

if TYPE_CHECKING:
    from engines.worker.logprob_rows import RowReader, RowWriter


class GraphRunner(ABC):
    """A loaded graph, and the tokens in its KV cache."""

    capacity: int
    """Tokens that the KV cache holds."""
    bytes_per_token: int
    """Of the KV cache, in all layers."""
    weight_bytes: int
    vocabulary: int
    device: str
    """Where logits are: `cpu` or `cuda:N`."""
    chunk_tokens: int
    """Tokens of a prompt that are computed at once."""

    def __init__(self) -> None:
        self.cached_ids: list[int] = []
        """Tokens whose keys and values are in the cache, in order."""

    @abstractmethod
    def compute(self, token_ids: Sequence[int], start: int, *, all_rows: bool) -> Any:
        """Compute tokens that follow the first `start` of the cache.

        Returns:
            The logits after the last token, or with `all_rows` after each: a tensor [rows, vocabulary] in
            fp32 on `device`, valid until the next call.

        Raises:
            EngineError: the library failed.
        """

    def close(self) -> None:  # noqa: B027 - a runner may have nothing to save
        """Release what the graph holds."""

    def cached_prefix(self, prompt: Sequence[int]) -> int:
        """Return how many tokens at the start of `prompt` are cached, except the last one."""
        return common_length(self.cached_ids, prompt[:-1])

    def append(self, token_ids: Sequence[int], start: int, *, all_rows: bool = False) -> Iterator[Any]:
        """Compute tokens chunk by chunk, and yield the logits of each chunk, see `compute`."""
        del self.cached_ids[start:]
        for begin in range(0, len(token_ids), self.chunk_tokens):
            chunk = token_ids[begin : begin + self.chunk_tokens]
            logits = self.compute(chunk, start + begin, all_rows=all_rows)
            self.cached_ids += chunk
            yield logits


class GraphBackend(Backend):
    """A backend whose engine is a GraphRunner."""

    load_stages = ("import", "load")

    def __init__(self) -> None:
        self._runner: GraphRunner | None = None

    @property
    def runner(self) -> GraphRunner:
        """The loaded graph.

        Raises:
            EngineError: `not-loaded`.
        """
        return require_loaded(self._runner)

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """See `Backend.generate`. Only the part of the prompt that is not in the KV cache is computed."""
        import torch

        from engines.backends.token_sampler import TokenSampler

        runner, eos = self.runner, frozenset() if sampling.ignore_eos else eos_token_ids
        check_ids(token_ids, runner.vocabulary)
        sampler = TokenSampler(sampling, token_ids, torch.device(runner.device))
        cached, logits = runner.cached_prefix(token_ids), None
        with torch.inference_mode():
            for chunk in runner.append(list(token_ids[cached:]), cached):
                if stopped():
                    return Generated("stopped", cached)
                logits = chunk
            for count in range(1, sampling.max_tokens + 1):
                token = _chosen(sampler, logits)
                emit([token])
                if token in eos:
                    return Generated("stop", cached)
                if count == sampling.max_tokens:
                    break
                if stopped():
                    return Generated("stopped", cached)
                (logits,) = runner.append([token], len(runner.cached_ids))
        return Generated("length", cached)

    def score(
        self,
        token_ids: Sequence[int],
        top_k: int = 0,
        reference: RowReader | None = None,
        keep: RowWriter | None = None,
    ) -> Scores:
        """See `Backend.score`. Computed in chunks, through the KV cache."""
        import torch

        from engines.backends.scores import scores_from_logits

        check_ids(token_ids, self.runner.vocabulary)
        with torch.inference_mode():
            logits = self.runner.append(list(token_ids[:-1]), 0, all_rows=True)
            return scores_from_logits(logits, token_ids, top_k, reference, keep)

    def kv_usage(self) -> KVUsage | None:
        """Return the cached tokens; the cache is allocated in full from the start."""
        if self._runner is None:
            return None
        used, each = len(self._runner.cached_ids), self._runner.bytes_per_token
        return KVUsage(
            tokens=used,
            capacity_tokens=self.context_tokens,
            bytes_used=used * each,
            bytes_total=self._runner.capacity * each,
        )

    def memory_usage(self) -> MemoryUsage | None:
        """Return the bytes of the weights and of the KV cache."""
        if self._runner is None:
            return None
        kv = self._runner.capacity * self._runner.bytes_per_token
        return MemoryUsage(weights=self._runner.weight_bytes, kv=kv)

    def close(self) -> None:
        """Release the graph and its KV cache."""
        if self._runner is not None:
            self._runner.close()
        self._runner = None


def _chosen(sampler: Any, logits: Any) -> int:
    """Return the next token.

    Raises:
        EngineError: `no-distribution`: the logits are not finite.
    """
    if not bool(logits.max().isfinite()):
        raise no_distribution()
    return int(sampler.choose(logits))
