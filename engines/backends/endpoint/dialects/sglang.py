"""SGLang."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from engines.backends.base import Scores
from engines.backends.endpoint.connection import SCORE_SECONDS
from engines.backends.endpoint.dialects.dialect import Dialect, Listing, number, text, with_precision
from engines.backends.endpoint.failures import not_an_api
from engines.backends.endpoint.prometheus import Metrics
from engines.errors import EngineError
from engines.worker.protocol import KVUsage, ServerFacts


class SGLang(Dialect):
    """SGLang."""

    title: ClassVar[str] = "SGLang"
    owners: ClassVar[frozenset[str]] = frozenset({"sglang"})
    counts_each_chunk: ClassVar[bool] = True
    all_tokens: ClassVar[int | None] = -1

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return what /get_server_info says."""
        info: dict[str, Any] = {}
        with suppress(EngineError):
            found = self.http.get("/get_server_info")
            info = found if isinstance(found, dict) else {}
        entry = listing.entry(facts.model)
        facts = replace(
            facts,
            version=text(info.get("version")),
            context=number(entry.get("max_model_len")) or number(info.get("context_length")),
            counts="chunk",
            prompt_scores="/generate",
            metrics="/metrics" if info.get("enable_metrics", True) else "",
        )
        stored = text(info.get("quantization")) or text(info.get("dtype"))
        return with_precision(facts, "" if stored == "auto" else stored, "/get_server_info")

    def usage(self) -> KVUsage | None:
        """Return what its metrics say, if it was started with --enable-metrics."""
        metrics = Metrics(self.http.text("/metrics"))
        running, share = metrics.count("sglang:num_running_reqs"), metrics.share("sglang:token_usage")
        if running is None and share is None:
            return None
        return KVUsage(
            tokens=metrics.count("sglang:num_used_tokens") or 0,
            used_share=share,
            running=running,
            waiting=metrics.count("sglang:num_queue_reqs"),
            hit_share=metrics.share("sglang:cache_hit_rate"),
        )

    def score(self, facts: ServerFacts, token_ids: Sequence[int], top_k: int) -> Scores:
        """Let its own API compute the prompt's log-probabilities."""
        body: dict[str, object] = {
            "input_ids": list(token_ids),
            "sampling_params": {"max_new_tokens": 1, "temperature": 0},
            "return_logprob": True,
            "logprob_start_len": 0,
            "top_logprobs_num": top_k,
        }
        data = self.http.post("/generate", body, SCORE_SECONDS)
        try:
            return _scores(data["meta_info"], token_ids, top_k)
        except (LookupError, TypeError, ValueError):
            raise not_an_api(self.http.host, "the scores of the text are not as SGLang writes them") from None


def _scores(meta: dict[str, Any], token_ids: Sequence[int], top_k: int) -> Scores:
    """Return the scores in rows of [log-probability, token id, text]; the first token has none."""
    own, rows = meta["input_token_logprobs"], meta["input_top_logprobs"]
    if len(own) != len(token_ids) or len(rows) != len(token_ids):
        raise ValueError("another number of rows")
    scores = Scores([])
    for token, entry, row in zip(token_ids[1:], own[1:], rows[1:], strict=True):
        if entry[1] != token:
            raise ValueError("another token")
        value = float(entry[0])
        best = sorted(((float(one[0]), int(one[1])) for one in row), reverse=True)[:top_k]
        scores.logprobs.append(value)
        scores.ranks.append(sum(other > value for other, _ in best))
        scores.top_ids.append([key for _, key in best])
        scores.top_logprobs.append([other for other, _ in best])
    return scores
