"""Memory that a backend takes in addition to weights and KV cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

MB = 1_000_000


@dataclass(frozen=True)
class Runtime:
    """Memory constants of a backend on one kind of device; `base` and `build_base` are bytes."""

    base: int
    """Bytes of the library itself, once loaded."""
    weight_copies: float
    """Bytes in memory per byte of weights: above 1 if the library keeps a repacked copy as well."""
    prefill_tokens: int | None
    """Tokens of a prompt computed in one chunk; None for all of them."""
    build_base: int | None
    """Bytes that a build takes in addition to tensors; None for a backend that builds nothing."""
    block_tokens: int
    """Tokens of a KV block: the cache grows in these steps."""
    spare_blocks: int = 0
    """Blocks allocated beyond those of the context."""
    keeps_all_tokens: bool = False
    """Whether layers with a sliding window keep the keys of the whole context too."""
    reads_checkpoint: bool = False
    """Whether plain precisions are loaded from the checkpoint, although the backend builds engines."""
    widens: Callable[[Mapping[str, object]], bool] | None = None
    """Returns whether the build of a config.json holds all weights in 32 bits; None: never."""
