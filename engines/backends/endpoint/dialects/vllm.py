"""vLLM, and NVIDIA NIM, which is vLLM behind a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, ClassVar

from engines.backends.base import Scores
from engines.backends.endpoint.connection import SCORE_SECONDS
from engines.backends.endpoint.dialects.dialect import (
    Dialect,
    Listing,
    number,
    text,
    token_list,
    with_precision,
)
from engines.backends.endpoint.failures import not_an_api
from engines.backends.endpoint.prometheus import Metrics
from engines.backends.remote import Counted, Messages
from engines.errors import EngineError
from engines.plan.checkpoint.json_file import read_json_object
from engines.worker.protocol import KVUsage, Sampling, ServerFacts

TOP_LOGPROBS = 20
"""Most alternatives that vLLM returns unless it was started with --max-logprobs."""


class VLLM(Dialect):
    """vLLM."""

    title: ClassVar[str] = "vLLM"
    owners: ClassVar[frozenset[str]] = frozenset({"vllm"})
    counts_each_chunk: ClassVar[bool] = True
    all_tokens: ClassVar[int | None] = -1
    metrics_path: ClassVar[str] = "//metrics"

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return its version, context window and precision: that of the weights' config.json, or the name."""
        entry = listing.entry(facts.model)
        facts = replace(
            facts,
            version=self.version(),
            context=number(entry.get("max_model_len")),
            token_ids=True,
            counts="chunk",
            prompt_scores="prompt_logprobs",
            metrics=self.metrics_path.removeprefix("/"),
        )
        return with_precision(facts, self._stored(entry), "config.json of the model")

    def _stored(self, entry: dict[str, Any]) -> str:
        """Return the type of the weights, if the server is on this machine and its model in a folder."""
        root = entry.get("root")
        if not self.http.address.is_loopback or not isinstance(root, str) or not root.startswith("/"):
            return ""
        try:
            config = read_json_object(Path(root) / "config.json")
        except (EngineError, OSError, ValueError):
            return ""
        quantised = config.get("quantization_config")
        if isinstance(quantised, dict):
            return text(quantised.get("quant_method"))
        return text(config.get("dtype") or config.get("torch_dtype")).removeprefix("torch.")

    def sampling_fields(self, sampling: Sampling) -> dict[str, object]:
        """Return vLLM's fields, and the request for token ids."""
        return super().sampling_fields(sampling) | {"return_token_ids": True}

    def usage(self) -> KVUsage | None:
        """Return what its metrics say."""
        return vllm_usage(Metrics(self.http.text(self.metrics_path[1:])))

    def count(self, facts: ServerFacts, messages: Messages, texts: Sequence[str]) -> Counted:
        """Count with /tokenize, which applies the chat template too."""
        tokens = 0
        if messages:
            body = {"model": facts.model, "messages": list(messages), "add_generation_prompt": True}
            tokens = self._count(body)
        lengths = tuple(
            self._count({"model": facts.model, "prompt": one, "add_special_tokens": False}) for one in texts
        )
        return Counted(tokens, lengths)

    def token_ids(self, facts: ServerFacts, text: str) -> tuple[int, ...]:
        """Ask /tokenize."""
        body: dict[str, object] = {"model": facts.model, "prompt": text, "add_special_tokens": False}
        return token_list(self.http.post("/tokenize", body).get("tokens"))

    def _count(self, body: dict[str, object]) -> int:
        return number(self.http.post("/tokenize", body).get("count"))

    def score(self, facts: ServerFacts, token_ids: Sequence[int], top_k: int) -> Scores:
        """Let it compute the prompt's log-probabilities in one request, without an answer."""
        body: dict[str, object] = {
            "model": facts.model,
            "prompt": list(token_ids),
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": min(top_k, TOP_LOGPROBS),
            "add_special_tokens": False,
        }
        data = self.http.post(self.api(facts, "/completions"), body, SCORE_SECONDS)
        try:
            rows = data["choices"][0]["prompt_logprobs"] or data["prompt_logprobs"]
            return prompt_scores(rows, token_ids, top_k)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise not_an_api(self.http.host, "the scores of the text are not as vLLM writes them") from None


def prompt_scores(rows: list[Any], token_ids: Sequence[int], top_k: int) -> Scores:
    """Return the scores in vLLM's rows: for each token but the first `{id: {logprob, rank}}`.

    Raises:
        LookupError: a token of the text is not in its row.
    """
    scores = Scores([])
    if len(rows) != len(token_ids):
        raise ValueError("another number of rows")
    for token, row in zip(token_ids[1:], rows[1:], strict=True):
        own = row[str(token)]
        scores.logprobs.append(_logprob(own))
        scores.ranks.append(max(0, int(own["rank"]) - 1))
        best = sorted(((_logprob(one), int(key)) for key, one in row.items()), reverse=True)[:top_k]
        scores.top_ids.append([key for _, key in best])
        scores.top_logprobs.append([value for value, _ in best])
    return scores


def _logprob(entry: dict[str, Any]) -> float:
    """Return a log-probability; vLLM writes -9999 for a probability of 0."""
    value = float(entry["logprob"])
    return -inf if value <= -9999 else value


def vllm_usage(metrics: Metrics) -> KVUsage | None:
    """Return the use of vLLM's KV cache and its requests; None if the page is of another program."""
    running = metrics.count("vllm:num_requests_running")
    share = metrics.share("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
    if running is None and share is None:
        return None
    block, blocks = (
        int(found) if (found := metrics.label("vllm:cache_config_info", name)).isdecimal() else 0
        for name in ("block_size", "num_gpu_blocks")
    )
    used = round((share or 0) * blocks)
    queries = metrics.total("vllm:prefix_cache_queries_total", "vllm:prefix_cache_queries")
    hits = metrics.total("vllm:prefix_cache_hits_total", "vllm:prefix_cache_hits")
    known = bool(block and blocks)
    return KVUsage(
        tokens=used * block,
        capacity_tokens=blocks * block if known else None,
        block_tokens=block if known else None,
        used_blocks=used if known else None,
        free_blocks=blocks - used if known else None,
        total_blocks=blocks if known else None,
        used_share=share,
        running=running,
        waiting=metrics.count("vllm:num_requests_waiting"),
        hit_share=hits / queries if queries and hits is not None and hits <= queries else None,
    )


class NIM(VLLM):
    """NVIDIA NIM 2: vLLM, with its own description and metrics below the version path."""

    title: ClassVar[str] = "NIM"
    owners: ClassVar[frozenset[str]] = frozenset()
    metrics_path: ClassVar[str] = "//v1/metrics"

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._metadata: dict[str, Any] = {}

    def recognises(self, listing: Listing) -> bool:
        """Ask for its metadata, if its models could be those of vLLM."""
        if not {"vllm", "system", "nvidia"} & listing.owners:
            return False
        with suppress(EngineError):
            found = self.http.get("/v1/metadata")
            if isinstance(found, dict) and ("modelInfo" in found or "assetInfo" in found):
                self._metadata = found
        return bool(self._metadata)

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return as vLLM; the precision is in the name of the selected profile."""
        facts = super().describe(facts, listing)
        words = str(self._metadata).lower()
        profile = next((one for one in ("nvfp4", "mxfp4", "fp8", "bf16", "fp16", "int4") if one in words), "")
        version = text(self._metadata.get("version")) or facts.version
        return with_precision(replace(facts, version=version), profile, "the profile in /v1/metadata")
