"""llama.cpp's server, also in other packages such as llamafile."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any, ClassVar

from engines.backends.base import Scores
from engines.backends.endpoint.connection import SMALL_SECONDS, Connection
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
from engines.worker.protocol import KVUsage, Sampling, ServerFacts
from engines.worker.template_arguments import variables_read
from engines.worker.values import TOKEN_BY_TOKEN

MOST_SCORED = 512
"""Tokens of a text: each takes one request."""
DEEPEST = 1_000
"""Alternatives that are requested first; all tokens where the text's own one is not among them."""


class LlamaServer(Dialect):
    """llama-server."""

    title: ClassVar[str] = "llama.cpp"
    owners: ClassVar[frozenset[str]] = frozenset({"llamacpp"})

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._vocabulary = 0
        """Its size; 0 if it is not reported."""

    def recognises(self, listing: Listing) -> bool:
        """Look at the owner of the models and at the header that names the server."""
        return super().recognises(listing) or listing.headers.get("server", "") == "llama.cpp"

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return what /props says of the model's file."""
        properties: dict[str, Any] = {}
        with suppress(EngineError):
            found = self.http.get("/props")
            properties = found if isinstance(found, dict) else {}
        entry = listing.entry(facts.model)
        listed = entry.get("meta")
        meta: dict[str, Any] = listed if isinstance(listed, dict) else {}
        settings = properties.get("default_generation_settings")
        context = number(settings.get("n_ctx")) if isinstance(settings, dict) else 0
        template = properties.get("chat_template")
        self._vocabulary = number(meta.get("n_vocab"))
        self.template_variables = variables_read(template) if isinstance(template, str) else ()
        stored = text(properties.get("model_ftype")) or text(meta.get("ftype"))
        facts = replace(
            facts,
            version=text(properties.get("build_info")),
            context=context or number(meta.get("n_ctx")),
            counts="chunk",
            prompt_scores=TOKEN_BY_TOKEN if self._vocabulary else "",
            metrics="/slots" if properties.get("endpoint_slots") else "",
        )
        return with_precision(facts, stored.removeprefix("all "), "the GGUF file's type")

    def sampling_fields(self, sampling: Sampling) -> dict[str, object]:
        """Return its names, and the request for counts with every chunk."""
        return {
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repetition_penalty,
            "ignore_eos": sampling.ignore_eos,
            "timings_per_token": True,
        }

    def usage(self) -> KVUsage | None:
        """Return the tokens in all slots, and the queue where --metrics is on."""
        slots = self.http.get("/slots")
        if not isinstance(slots, list) or not all(isinstance(one, dict) for one in slots):
            return None
        busy = [one for one in slots if one.get("is_processing")]
        waiting = None
        with suppress(EngineError):
            waiting = Metrics(self.http.text("/metrics")).count("llamacpp:requests_deferred")
        return KVUsage(
            tokens=sum(_tokens_of(one) for one in busy),
            capacity_tokens=sum(number(one.get("n_ctx")) for one in slots) or None,
            running=len(busy),
            waiting=waiting,
        )

    def count(self, facts: ServerFacts, messages: Messages, texts: Sequence[str]) -> Counted:
        """Count with /tokenize, a conversation after /apply-template."""
        tokens = 0
        if messages:
            prompt = self.http.post("/apply-template", {"messages": list(messages)}).get("prompt")
            tokens = self._count(str(prompt), special=True)
        return Counted(tokens, tuple(self._count(one, special=False) for one in texts))

    def token_ids(self, facts: ServerFacts, text: str) -> tuple[int, ...]:
        """Ask /tokenize."""
        del facts
        return self._token_ids(text, special=False)

    def _count(self, content: str, *, special: bool) -> int:
        return len(self._token_ids(content, special=special))

    def _token_ids(self, content: str, *, special: bool) -> tuple[int, ...]:
        body: dict[str, object] = {"content": content, "add_special": special, "parse_special": special}
        return token_list(self.http.post("/tokenize", body).get("tokens"))

    def score(self, facts: ServerFacts, token_ids: Sequence[int], top_k: int) -> Scores:
        """Ask for the distribution after each token: the server keeps the tokens before it in its cache."""
        if len(token_ids) > MOST_SCORED:
            raise EngineError(
                "unsupported",
                f"llama.cpp scores a text token by token; it has {len(token_ids):,} tokens, and the limit is "
                f"{MOST_SCORED}.",
                "Compare a shorter text.",
            )
        scores = Scores([])
        for place in range(1, len(token_ids)):
            row = self._distribution(token_ids[:place], max(top_k, DEEPEST))
            own = _logprob_of(token_ids[place], row)
            if own is None and self._vocabulary > DEEPEST:
                own = _logprob_of(token_ids[place], self._distribution(token_ids[:place], self._vocabulary))
            own = -inf if own is None else own
            scores.logprobs.append(own)
            scores.ranks.append(sum(value > own for _, value in row))
            scores.top_ids.append([key for key, _ in row[:top_k]])
            scores.top_logprobs.append([value for _, value in row[:top_k]])
        return scores

    def _distribution(self, token_ids: Sequence[int], count: int) -> list[tuple[int, float]]:
        """Return (token id, log-probability) of the most likely next tokens, best first."""
        body: dict[str, object] = {
            "prompt": list(token_ids),
            "n_predict": 1,
            "n_probs": count,
            "temperature": 0.0,
            "cache_prompt": True,
            "ignore_eos": True,  # otherwise it returns no probabilities where the text is likely to end
            "post_sampling_probs": False,
        }
        data = self.http.post("/completion", body, SMALL_SECONDS * 6)
        try:
            entry = data["completion_probabilities"][0]
            return [(int(one["id"]), float(one["logprob"])) for one in entry["top_logprobs"]]
        except (LookupError, TypeError, ValueError):
            raise not_an_api(self.http.host, "its probabilities are not as llama.cpp writes them") from None


def _logprob_of(token: int, row: Sequence[tuple[int, float]]) -> float | None:
    return next((value for key, value in row if key == token), None)


def _tokens_of(slot: dict[str, Any]) -> int:
    """Return the tokens of the prompt and of what was generated after it."""
    following = slot.get("next_token")
    first = following[0] if isinstance(following, list) and following else {}
    generated = first.get("n_decoded") if isinstance(first, dict) else 0
    return max(number(slot.get("n_prompt_tokens")), number(generated))
