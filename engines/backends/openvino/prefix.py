"""Predict which tokens of a prompt are prefix-cache hits, because the library does not report it.

The rules are those of OpenVINO GenAI's block manager; where they are hard to reproduce, the result is too
low. They are tested against the library, which returns log-probabilities only for tokens that it computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engines.backends.common_prefix import common_length


@dataclass
class PrefixLedger:
    """Tracks the token sequences whose keys and values are in the cache."""

    block_tokens: int
    total_blocks: int
    _sequences: dict[tuple[int, ...], int] = field(default_factory=dict)
    """Sequence to the value of `_used_blocks` when it was last computed."""
    _used_blocks: int = 0
    """Blocks that all requests so far have filled or reused."""
    _block_starts: set[int] = field(default_factory=set)
    """Hashes of all prefixes that end with the first token of a block."""

    def cached(self, prompt: Sequence[int]) -> int:
        """Return how many tokens at the start of `prompt` are cached."""
        shares = [(sequence, common_length(sequence, prompt)) for sequence in self._sequences]
        # Blocks are found by the hash of all their tokens, so only full blocks are shared. The exception is a
        # prompt that continues a sequence, which also reuses its last, partial block.
        full = max((self._full_blocks(sequence, prompt, common) for sequence, common in shares), default=0)
        ends = (common for sequence, common in shares if common == len(sequence) < len(prompt))
        return min((end for end in ends if full < end < full + self.block_tokens), default=full)

    def _full_blocks(self, sequence: Sequence[int], prompt: Sequence[int], common: int) -> int:
        """Return the shared tokens in full blocks, without the last token, whose logits are needed."""
        return self._floor(max(0, min(common, len(sequence) - 1, len(prompt) - 1)))

    def record(self, computed: Sequence[int]) -> None:
        """Add a computed sequence, and drop the least recently used ones that it may have evicted."""
        new = tuple(computed)
        self._used_blocks += self._blocks(new)
        last = self._floor(len(new) - 1)
        kept: dict[tuple[int, ...], int] = {}
        for old, last_used in self._sequences.items():
            if (
                self._used_blocks - last_used + self._blocks(old) > self.total_blocks
                or new[: len(old)] == old
            ):
                continue
            # Two partial blocks with the same start: the library may find either, so assume neither.
            same_start = self._floor(len(old) - 1) == last and old[: last + 1] == new[: last + 1]
            kept[old[:last] if same_start else old] = last_used
        # A partial block that was reused may be registered under any of its earlier lengths.
        kept[new[:last] if hash(new[: last + 1]) in self._block_starts else new] = self._used_blocks
        self._sequences = kept
        self._block_starts |= {hash(new[: begin + 1]) for begin in range(0, len(new), self.block_tokens)}

    def _floor(self, tokens: int) -> int:
        return tokens // self.block_tokens * self.block_tokens

    def _blocks(self, sequence: Sequence[int]) -> int:
        return -(-len(sequence) // self.block_tokens)
