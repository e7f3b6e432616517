"""The KV cache as the library's statistics report it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.backends.tensorrt_llm.arguments import BLOCK_TOKENS
from engines.worker.protocol import KVUsage


def kv_usage(
    stats: Mapping[str, Any] | None,
    pool_tokens: int,
    token_bytes: float,
    tokens: int = 0,
    cached: int | None = None,
) -> KVUsage:
    """Return the usage of a record, or a computed one if there are no statistics.

    Args:
        stats: a valid `kvCacheStats`; None if there is none.
        pool_tokens: size of the pool that was asked for.
        token_bytes: bytes of the keys and values of a token.
        tokens: in the cache, where one request has it; 0 if unknown.
        cached: tokens of the last prompt that were in the cache; None if unknown.
    """
    block_tokens = stats["tokensPerBlock"] if stats else BLOCK_TOKENS
    total = stats["maxNumBlocks"] if stats else pool_tokens // block_tokens
    used = min(total, max(stats["usedNumBlocks"] if stats else 0, -(-tokens // block_tokens)))
    block_bytes = round(token_bytes * block_tokens)
    return KVUsage(
        tokens=tokens,
        capacity_tokens=total * block_tokens,
        bytes_used=used * block_bytes,
        bytes_total=total * block_bytes,
        block_tokens=block_tokens,
        used_blocks=used,
        free_blocks=total - used,
        total_blocks=total,
        # The library's own count, reusedBlocks, grows from its start.
        reused_blocks=None if cached is None else cached // block_tokens,
    )
