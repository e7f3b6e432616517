"""The static KV cache: transformers' own layer, written where we say, and seen as far as it is needed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import torch
from transformers import StaticCache
from transformers.cache_utils import Cache, StaticLayer

from engines.backends.compiled.attention import PART
from engines.errors import EngineError

SHORTEST = 512
"""The least tokens that a cache holds: compiling always looks at this length, whatever the context."""


class PlacedLayer(StaticLayer):  # type: ignore[misc]
    """A static layer whose tokens lie one after the other, so that a shorter look at it has equal strides.

    Compiled code then depends neither on the context nor on the length that attention reads. They lie in
    parts of PART: with a count of tokens the compiler proves at every operation, at each load again, that it
    can be divided into parts, and with a count of parts there is nothing to prove.
    """

    def __init__(self, capacity: int, places: Places) -> None:
        super().__init__(capacity)
        self._places = places
        self.stored: tuple[Any, Any] | None = None
        """Keys and values: parts, tokens of a part, heads, width of a head."""

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        """Take the memory, once the first call tells heads, widths and type."""
        self.stored = (self._zeros(key_states), self._zeros(value_states))
        self.is_initialized = True
        self.look(self.max_cache_len)

    def _zeros(self, states: Any) -> Any:
        _, heads, _, width = states.shape
        parts = self.max_cache_len // PART
        return torch.zeros((parts, PART, heads, width), dtype=states.dtype, device=states.device)

    def look(self, length: int) -> None:
        """Let attention read the first `length` tokens from now on."""
        assert self.stored is not None
        self.keys, self.values = (states[: length // PART] for states in self.stored)
        for view in (self.keys, self.values):
            torch._dynamo.mark_dynamic(view, 0)

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Write the new tokens at their places; returns what attention reads.

        Not with `index_copy_`: compiled, it makes a contiguous copy of the whole view, and copies that back.
        """
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        parts, within = self._places.parts, self._places.within
        for states, new in ((self.keys, key_states), (self.values, value_states)):
            states[parts, within] = new[0].transpose(0, 1)
        return _in_heads(self.keys), _in_heads(self.values)


def _in_heads(states: Any) -> Any:
    """As attention reads it: 1, heads, tokens, width of a head."""
    return states.flatten(0, 1).transpose(0, 1).unsqueeze(0)


class Places:
    """Where the tokens of the current step belong, for all layers: their parts, and their places in those."""

    parts: Any = None
    within: Any = None

    def set(self, positions: Any) -> None:
        """From the tokens' positions in the context."""
        self.parts, self.within = positions // PART, positions % PART


class BucketedCache:
    """A cache that keeps the last conversation, so that only what is new has to be computed."""

    def __init__(self, config: Any, capacity: int) -> None:
        self.capacity = max(SHORTEST, -(-capacity // PART) * PART)
        self.places = Places()
        _check_attention(config, self.capacity)
        layers = [PlacedLayer(self.capacity, self.places) for _ in range(config.num_hidden_layers)]
        self.cache = Cache(layers=layers)
        self.lengths = _lengths(self.capacity)
        self.held: list[int] = []
        """Tokens whose keys and values lie in the cache, in order."""

    def look(self, tokens: int) -> int:
        """Let attention read a length that holds `tokens`; returns it."""
        length = self.lengths[bisect_left(self.lengths, tokens)]
        for layer in self.cache.layers:
            layer.look(length)
        return length

    def common(self, prompt: Sequence[int]) -> int:
        """Tokens at the front of `prompt` that need not be computed: all but the last one at most."""
        count = 0
        for held, wanted in zip(self.held, prompt[:-1], strict=False):
            if held != wanted:
                break
            count += 1
        return count

    @property
    def token_bytes(self) -> int:
        """Bytes of one token in all layers."""
        parts = [part for layer in self.cache.layers if layer.stored for part in layer.stored]
        return sum(part[0, 0].numel() * part.element_size() for part in parts)


def _lengths(capacity: int) -> list[int]:
    """512, 640, 768, 896, 1024, 1280 and so on: attention reads at most a quarter more than it needs."""
    lengths, power = list[int](), SHORTEST
    while power < capacity:
        lengths += range(power, 2 * power, power // 4)
        power *= 2
    return [length for length in lengths if length < capacity] + [capacity]


def _check_attention(config: Any, capacity: int) -> None:
    """Refuse what the placed layer and our attention cannot stand for.

    Raises:
        EngineError: a sliding window is shorter than the context, a layer has no keys and values, or scores
            are capped.
    """
    if getattr(config, "attn_logit_softcapping", None):
        raise EngineError(
            "unsupported-attention", "Capped attention scores are not covered.", "Take another backend."
        )
    for layer in StaticCache(config=config, max_cache_len=capacity).layers:
        window = getattr(config, "sliding_window", None) or 0
        if type(layer) is StaticLayer or (isinstance(layer, StaticLayer) and window >= capacity):
            continue
        raise EngineError(
            "unsupported-attention",
            f"{type(layer).__name__} is not covered: attention must reach over all {capacity:,} tokens.",
            "Prepare with a shorter context, or take another backend.",
        )
