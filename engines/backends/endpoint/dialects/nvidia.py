"""NVIDIA's other servers: trtllm-serve, Triton's OpenAI frontend, and TensorRT Edge-LLM."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from engines.backends.endpoint.connection import Connection
from engines.backends.endpoint.dialects.dialect import Dialect, Listing, count, number, with_precision
from engines.backends.endpoint.dialects.vllm import vllm_usage
from engines.backends.endpoint.prometheus import Metrics
from engines.errors import EngineError
from engines.worker.protocol import KVUsage, Sampling, ServerFacts


class TensorRTLLM(Dialect):
    """trtllm-serve."""

    title: ClassVar[str] = "TensorRT-LLM"
    owners: ClassVar[frozenset[str]] = frozenset({"tensorrt_llm"})
    counts_each_chunk: ClassVar[bool] = True
    all_tokens: ClassVar[int | None] = 0

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._last: KVUsage | None = None

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return its version; it reports neither the context window nor the precision."""
        facts = replace(
            facts,
            version=self.version(),
            context=number(listing.entry(facts.model).get("max_model_len")),
            counts="chunk",
            metrics="/metrics",
            notes=("Its /metrics has one reader: another program that reads it takes figures away.",),
        )
        return with_precision(facts, "", "")

    def usage(self) -> KVUsage | None:
        """Return the last of the iterations since the last call, or what its Prometheus page says.

        A call takes the list away, so an empty one means that nothing is new.
        """
        with suppress(EngineError):
            found = self.http.get("/metrics")
            if isinstance(found, list) and found and isinstance(found[-1], dict):
                self._last = _iteration(found[-1])
                return self._last
            if self._last is not None:
                return self._last
        with suppress(EngineError):
            metrics = Metrics(self.http.text("/prometheus/metrics"))
            share = metrics.share("trtllm_kv_cache_utilization")
            hits = metrics.share("trtllm_kv_cache_hit_rate")
            return None if share is None and hits is None else KVUsage(used_share=share, hit_share=hits)
        return None


def _iteration(stats: dict[str, Any]) -> KVUsage:
    """Return the usage in the statistics of one iteration."""
    kv = stats.get("kvCacheStats")
    kv = kv if isinstance(kv, dict) else {}
    block, total = number(kv.get("tokensPerBlock")), number(kv.get("maxNumBlocks"))
    used = number(kv.get("usedNumBlocks"))
    hit = kv.get("cacheHitRate")
    known = bool(block and total)
    return KVUsage(
        tokens=used * block,
        capacity_tokens=total * block if known else None,
        block_tokens=block if known else None,
        used_blocks=used if known else None,
        free_blocks=number(kv.get("freeNumBlocks")) if known else None,
        total_blocks=total if known else None,
        used_share=min(1.0, used / total) if total else None,
        running=count(stats.get("numActiveRequests")),
        waiting=count(stats.get("numQueuedRequests")),
        hit_share=float(hit) if isinstance(hit, (int, float)) and 0 <= hit <= 1 else None,
    )


class Triton(Dialect):
    """Triton Inference Server's OpenAI frontend."""

    title: ClassVar[str] = "Triton"
    owners: ClassVar[frozenset[str]] = frozenset({"triton inference server"})
    ignored: ClassVar[tuple[str, ...]] = ("top_k", "min_p", "repetition_penalty", "ignore_eos")

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return what can be known: the name of a model repository says little."""
        facts = replace(facts, counts="usage", metrics="/metrics")
        return with_precision(facts, "", "")

    def sampling_fields(self, sampling: Sampling) -> dict[str, object]:
        """Return nothing: fields outside OpenAI's API are refused."""
        del sampling
        return {}

    def usage(self) -> KVUsage | None:
        """Return the figures of its backend: vLLM's, or those of TensorRT-LLM."""
        metrics = Metrics(self.http.text("/metrics"))
        return vllm_usage(metrics) or _tensorrt_llm_usage(metrics)


def _tensorrt_llm_usage(metrics: Metrics) -> KVUsage | None:
    name, label = "nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type"
    used, total, block = (metrics.labelled(name, label, one) for one in ("used", "max", "tokens_per"))
    requests = "nv_trt_llm_request_metrics"
    active, waiting = (metrics.labelled(requests, "request_type", one) for one in ("active", "waiting"))
    if used is None and active is None:
        return None
    known = bool(used is not None and total and block)
    return KVUsage(
        tokens=int((used or 0) * (block or 0)),
        capacity_tokens=int((total or 0) * (block or 0)) if known else None,
        block_tokens=int(block or 0) if known else None,
        used_blocks=int(used or 0) if known else None,
        free_blocks=int((total or 0) - (used or 0)) if known else None,
        total_blocks=int(total or 0) if known else None,
        used_share=min(1.0, (used or 0) / total) if total else None,
        running=None if active is None else int(active),
        waiting=None if waiting is None else int(waiting),
    )


class EdgeLLM(Dialect):
    """The server of TensorRT Edge-LLM: one request at a time unless it was started otherwise."""

    title: ClassVar[str] = "TensorRT Edge-LLM"
    owners: ClassVar[frozenset[str]] = frozenset({"tensorrt-edge-llm", "tensorrt_edge_llm"})
    ignored: ClassVar[tuple[str, ...]] = ("min_p", "repetition_penalty", "ignore_eos")

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return what its list of models says."""
        return with_precision(super().describe(facts, listing), "", "")
