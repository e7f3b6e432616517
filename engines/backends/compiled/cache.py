"""The static KV cache: its layers are written at given positions, and attention reads only a prefix of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import torch
from transformers import StaticCache
from transformers.cache_utils import Cache, StaticLayer

from engines.backends.common_prefix import common_length
from engines.backends.compiled.attention import SPLIT_TOKENS
from engines.errors import EngineError

SHORTEST = 512
"""Smallest capacity in tokens: the decode step is always compiled at this length, for any context window."""


class StaticSplitLayer(StaticLayer):  # type: ignore[misc]
    """A static layer whose tokens are contiguous, so that a view of its first tokens has the same strides.

    Compiled code then depends neither on the context window nor on the length that attention reads. Tokens
    are stored in splits of SPLIT_TOKENS: with a dynamic number of tokens the compiler would have to prove at
    every operation, at each load again, that it is divisible into splits. With a dynamic number of splits it
    need not.
    """

    def __init__(self, capacity: int, positions: WritePositions) -> None:
        super().__init__(capacity)
        self._positions = positions
        self.storage: tuple[Any, Any] | None = None
        """Keys and values, each [splits, SPLIT_TOKENS, heads, head width]."""

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        """Allocate the memory when the first call shows the number of heads, head width and dtype."""
        self.storage = (self._zeros(key_states), self._zeros(value_states))
        self.is_initialized = True
        self.select_length(self.max_cache_len)

    def _zeros(self, states: Any) -> Any:
        _, heads, _, width = states.shape
        splits = self.max_cache_len // SPLIT_TOKENS
        return torch.zeros((splits, SPLIT_TOKENS, heads, width), dtype=states.dtype, device=states.device)

    def select_length(self, length: int) -> None:
        """Let attention read the first `length` tokens from now on."""
        assert self.storage is not None, "select_length was called before lazy_initialization"
        self.keys, self.values = (states[: length // SPLIT_TOKENS] for states in self.storage)
        for view in (self.keys, self.values):
            torch._dynamo.mark_dynamic(view, 0)

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Write the new tokens at their positions.

        `index_copy_` is not used: compiled, it copies the whole view, and copies it back.

        Returns:
            The keys and values that attention reads, each [1, heads, tokens, head width].
        """
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        splits, offsets = self._positions.splits, self._positions.offsets
        for states, new in ((self.keys, key_states), (self.values, value_states)):
            states[splits, offsets] = new[0].transpose(0, 1)
        return _by_head(self.keys), _by_head(self.values)


def _by_head(states: Any) -> Any:
    """Return splits [splits, SPLIT_TOKENS, heads, width] as [1, heads, tokens, width]."""
    return states.flatten(0, 1).transpose(0, 1).unsqueeze(0)


class WritePositions:
    """Where all layers write the tokens of the current step."""

    splits: Any = None
    """Index of the split of each token."""
    offsets: Any = None
    """Offset of each token inside its split."""


class BucketedCache:
    """A static cache that attention reads in lengths of a few buckets.

    It keeps the last conversation, so that only new tokens need to be computed.
    """

    def __init__(self, config: Any, capacity: int) -> None:
        self.capacity = max(SHORTEST, -(-capacity // SPLIT_TOKENS) * SPLIT_TOKENS)
        self.positions = WritePositions()
        _check_attention(config, self.capacity)
        layers = [StaticSplitLayer(self.capacity, self.positions) for _ in range(config.num_hidden_layers)]
        self.cache = Cache(layers=layers)
        self.lengths = _bucket_lengths(self.capacity)
        self._selected: int | None = None
        self.cached_ids: list[int] = []
        """Tokens whose keys and values are in the cache, in order."""

    def select_length(self, tokens: int) -> int:
        """Let attention read the shortest bucket that holds `tokens` tokens; return its length."""
        length = self.lengths[bisect_left(self.lengths, tokens)]
        if length != self._selected:
            for layer in self.cache.layers:
                layer.select_length(length)
            self._selected = length
        return length

    def cached_prefix(self, prompt: Sequence[int]) -> int:
        """Return how many tokens at the start of `prompt` are cached, except the last one."""
        return common_length(self.cached_ids, prompt[:-1])

    @property
    def bytes_per_token(self) -> int:
        """Bytes of one token in all layers."""
        tensors = [states for layer in self.cache.layers if layer.storage for states in layer.storage]
        return sum(states[0, 0].numel() * states.element_size() for states in tensors)


def _bucket_lengths(capacity: int) -> list[int]:
    """Return 512, 640, 768, 896, 1024, 1280, …: attention reads at most a quarter more than it needs."""
    lengths, power = list[int](), SHORTEST
    while power < capacity:
        lengths += range(power, 2 * power, power // 4)
        power *= 2
    return [length for length in lengths if length < capacity] + [capacity]


def _check_attention(config: Any, capacity: int) -> None:
    """Refuse kinds of attention that the static cache and our attention function do not implement.

    Raises:
        EngineError: `unsupported-attention`: a sliding window is shorter than the context window, a layer has
            no keys and values, or attention scores are capped.
    """
    if getattr(config, "attn_logit_softcapping", None):
        raise EngineError(
            "unsupported-attention",
            "Capped attention scores are not supported.",
            "Choose another backend.",
        )
    for layer in StaticCache(config=config, max_cache_len=capacity).layers:
        window = getattr(config, "sliding_window", None) or 0
        if type(layer) is StaticLayer or (isinstance(layer, StaticLayer) and window >= capacity):
            continue
        raise EngineError(
            "unsupported-attention",
            f"{type(layer).__name__} is not supported: attention must read all {capacity:,} tokens.",
            "Prepare with a shorter context, or choose another backend.",
        )
