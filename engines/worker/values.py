"""What messages carry: how to sample, and what the library reports of its cache and memory.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. The defaults are greedy."""

    max_tokens: int = 512
    temperature: float = 0.0
    """0 is greedy; the options below then do nothing, but for the repetition penalty."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""
    ignore_eos: bool = False
    """Generate max_tokens whatever the model says: for measurements."""


SAMPLING_LIMITS: dict[str, tuple[float, float]] = {
    "max_tokens": (1, math.inf),
    "temperature": (0.0, 100.0),
    "top_p": (1e-6, 1.0),
    "top_k": (0, math.inf),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.01, 100.0),
    "seed": (0, 2**63 - 1),
}
"""Least and most of each number: what no library would accept lies outside."""


@dataclass(frozen=True)
class KVUsage:
    """The KV cache as the library reports it. A contiguous cache has no blocks: those fields are None."""

    tokens: int = 0
    """Tokens held now."""
    capacity_tokens: int | None = None
    """Tokens that fit; None for a cache that grows."""
    bytes_used: int = 0
    bytes_total: int | None = None
    block_tokens: int | None = None
    """Tokens in a block."""
    used_blocks: int | None = None
    free_blocks: int | None = None
    total_blocks: int | None = None
    reused_blocks: int | None = None
    """Blocks of the last prompt that were found in the cache and not computed again."""


@dataclass(frozen=True)
class MemoryUsage:
    """Bytes by part, as the library knows them; None where it does not."""

    weights: int | None = None
    kv: int | None = None
    other: int | None = None
    peak: int | None = None
    """The most that the library's allocator held at once."""
