"""Values inside messages: sampling parameters, KV cache usage and memory usage.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields, replace

TOKEN_BY_TOKEN = "one request a token"
"""`ServerFacts.prompt_scores` of a server that scores one token with each request."""


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters of one request. The defaults are greedy decoding."""

    max_tokens: int = 512
    temperature: float = 0.0
    """0 is greedy decoding, which ignores top_p, top_k, min_p and seed."""
    top_p: float = 1.0
    top_k: int = 0
    """0 disables it."""
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Stop strings; they end the answer and are not part of it."""
    ignore_eos: bool = False
    """Generate max_tokens tokens even past an end-of-sequence token; for measurements."""

    def without(self, ignored: Collection[str]) -> Sampling:
        """Return what an engine computes with that ignores the named fields: the defaults in their place.

        The seed of a greedy answer stays, as it has no effect.
        """
        neutral = {field.name: field.default for field in fields(self) if field.name in ignored}
        if self.temperature == 0:
            neutral.pop("seed", None)
        return replace(self, **neutral)  # type: ignore[arg-type]


SAMPLING_LIMITS: dict[str, tuple[float, float]] = {
    "max_tokens": (1, math.inf),
    "temperature": (0.0, 100.0),
    "top_p": (1e-6, 1.0),
    "top_k": (0, math.inf),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.01, 100.0),
    "seed": (0, 2**63 - 1),
}
"""Smallest and largest value of each parameter; no backend accepts values outside."""


@dataclass(frozen=True)
class KVUsage:
    """KV cache usage as the library reports it. The fields for blocks are None for a contiguous cache."""

    tokens: int = 0
    """Tokens whose keys and values are in the cache."""
    capacity_tokens: int | None = None
    """Largest number of tokens; None for a cache that grows."""
    bytes_used: int = 0
    bytes_total: int | None = None
    block_tokens: int | None = None
    """Tokens per block."""
    used_blocks: int | None = None
    free_blocks: int | None = None
    total_blocks: int | None = None
    reused_blocks: int | None = None
    """Blocks of the last prompt that were cache hits."""
    state_bytes: int = 0
    """Bytes of recurrent and convolution states, which have one size for any number of tokens."""
    used_share: float | None = None
    """Used share of the cache, 0 to 1, where a server reports only that."""
    running: int | None = None
    """Requests that a server computes now, those of other clients included."""
    waiting: int | None = None
    """Requests that wait in a server's queue."""
    hit_share: float | None = None
    """Share of all prompt tokens since a server's start that were prefix hits, 0 to 1."""


@dataclass(frozen=True)
class RequestState:
    """What is new of one request of a load test."""

    number: int
    """From 0, in the order of arrival."""
    user: int
    """From 0: who sent it."""
    prompt_tokens: int
    """0 while a server has not reported it."""
    arrived_ns: int
    """When it was given to the library: the worker's monotonic clock, nanoseconds."""
    token_ns: tuple[int, ...] = ()
    """When the library yielded each token since the last event, before anything is drawn. Where a server
    does not count the tokens of its pieces of text, when each piece arrived."""
    reason: str = ""
    """Finish reason, as in Done; empty while the request waits or runs."""
    tokens: int | None = None
    """With the reason: tokens of the answer, where they are not one for each stamp."""
    estimated: bool = False
    """Whether the number of tokens is not counted: one for each piece, or from the number of characters."""


@dataclass(frozen=True)
class MemoryUsage:
    """Memory in bytes, by part; None for a part that the library does not report."""

    weights: int | None = None
    kv: int | None = None
    other: int | None = None
    peak: int | None = None
    """Peak of the library's allocator."""


@dataclass(frozen=True)
class ServerFacts:
    """What a server reports of itself and of the model that it runs."""

    kind: str
    """The program, such as `vLLM`, found from its answers; `OpenAI-compatible server` for an unknown one."""
    address: str
    """Base URL, with the version path of its API."""
    model: str
    models: tuple[str, ...] = ()
    """Names of all models that it lists, MOST_MODELS at most."""
    version: str = ""
    context: int = 0
    """Context window in tokens; 0 if it is not reported."""
    precision: str = ""
    """How the weights are stored, in the server's words; empty if it is not reported."""
    precision_source: str = ""
    """Which of its answers has it."""
    token_ids: bool = False
    """Whether it returns the token ids of prompts and answers."""
    counts: str = ""
    """How the tokens of an answer are counted: `chunk` (with each), `usage` (at the end), or empty."""
    prompt_scores: str = ""
    """Which call scores given tokens; empty if none does."""
    metrics: str = ""
    """Where it reports its KV cache and its requests; empty if nowhere."""
    notes: tuple[str, ...] = ()
    """What a user must know of this kind of server, in sentences."""


MOST_MODELS = 500
"""Hosted services list hundreds."""


@dataclass(frozen=True)
class ServerAnswer:
    """What a server reports of one answer. Times and rates are the server's own, without the network."""

    tokens: int
    """Length of the answer, thoughts included."""
    counted_by: str
    """`server`, `tokenizer` (the server's, afterwards) or `estimate` (from the number of characters)."""
    prompt_tokens: int | None = None
    thought_tokens: int | None = None
    ttft: float | None = None
    """Seconds from the request to the first token."""
    prefill_rate: float | None = None
    """Tokens per second."""
    decode_rate: float | None = None
    """Tokens per second."""
    load_seconds: float | None = None
    """What loading the model took, where the request caused it."""
    ignored_sampling: tuple[str, ...] = ()
    """Names of the fields of Sampling that the server refuses or ignores."""
    cancelled: str = ""
    """After a stop: `confirmed` by its metrics, `running` if it still computed, empty if that is unknown."""
