"""What transformers' cache of one answer holds: keys and values of tokens, and states of recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

KEYS_AND_VALUES = ("keys", "values", "indexer_keys")
"""Attributes of a cache layer that have an entry for each token."""


@dataclass(frozen=True)
class CacheUsage:
    """What a cache holds now."""

    tokens: int
    """Tokens of a layer with keys and values; 0 if no layer has them."""
    kv_bytes: int
    state_bytes: int
    """Bytes of convolution and recurrent states, whose size does not depend on the number of tokens."""


def cache_usage(cache: Any) -> CacheUsage:
    """Return what `cache` holds, as a model of transformers returned it; None is an empty cache.

    Models have layers with keys and values, with states (LFM2, Qwen3.5), with both (Falcon H1) or with
    neither, and some keep their states outside of the layers (MiniMax).
    """
    layers = getattr(cache, "layers", ())
    kv = [getattr(layer, name, None) for layer in layers for name in KEYS_AND_VALUES]
    kv_bytes = sum(map(_size, _tensors(kv)))
    everything = [getattr(cache, "__dict__", cache), *map(vars, layers)]
    return CacheUsage(
        tokens=max((_layer_tokens(layer) for layer in layers), default=0),
        kv_bytes=kv_bytes,
        state_bytes=sum(map(_size, _tensors(everything))) - kv_bytes,
    )


def _layer_tokens(layer: Any) -> int:
    keys = getattr(layer, "keys", None)
    return int(layer.get_seq_length()) if isinstance(keys, torch.Tensor) and keys.numel() else 0


def _size(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())


def _tensors(value: object) -> Iterator[torch.Tensor]:
    """Yield the tensors of floats in `value` and in the lists and mappings in it; counters are integers."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _tensors(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)
