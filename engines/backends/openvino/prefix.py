"""Which tokens of a prompt the prefix cache still holds: the library reuses them but does not say so.

The rules are those of OpenVINO GenAI's block manager, told too low where they are hard to follow. They are
tested against the library itself, which echoes log-probabilities of just the tokens that it computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class PrefixLedger:
    """Token sequences whose keys and values lie in the cache."""

    block_tokens: int
    total_blocks: int
    _sequences: dict[tuple[int, ...], int] = field(default_factory=dict)
    """Each with the value of `_handled` when it was last computed."""
    _handled: int = 0
    """Blocks that requests have filled or found again, so far."""
    _begun: set[int] = field(default_factory=set)
    """Hashes of all beginnings that end with the first token of a block."""

    def cached(self, prompt: Sequence[int]) -> int:
        """Tokens at the front of `prompt` that will not be computed again."""
        shares = [(sequence, _common(sequence, prompt)) for sequence in self._sequences]
        # A block is found by all of its tokens, so that it is shared whole or not at all; but a prompt that
        # goes on where a sequence ended finds its unfinished block.
        whole = max((self._whole(sequence, prompt, common) for sequence, common in shares), default=0)
        ends = (common for sequence, common in shares if common == len(sequence) < len(prompt))
        return min((end for end in ends if whole < end < whole + self.block_tokens), default=whole)

    def _whole(self, sequence: Sequence[int], prompt: Sequence[int], common: int) -> int:
        # The last token is always computed: its logits give the next one.
        return self._floor(max(0, min(common, len(sequence) - 1, len(prompt) - 1)))

    def record(self, computed: Sequence[int]) -> None:
        """A sequence was computed up to here, and what was used longest ago may have made room for it."""
        new = tuple(computed)
        self._handled += self._blocks(new)
        last = self._floor(len(new) - 1)
        kept: dict[tuple[int, ...], int] = {}
        for old, handled in self._sequences.items():
            if self._handled - handled + self._blocks(old) > self.total_blocks or new[: len(old)] == old:
                continue
            # Two unfinished blocks that begin alike: which one is found is hard to tell.
            alike = self._floor(len(old) - 1) == last and old[: last + 1] == new[: last + 1]
            kept[old[:last] if alike else old] = handled
        # An unfinished block that was found again may be known by any of the lengths that it had.
        kept[new[:last] if hash(new[: last + 1]) in self._begun else new] = self._handled
        self._sequences = kept
        self._begun |= {hash(new[: begin + 1]) for begin in range(0, len(new), self.block_tokens)}

    def _floor(self, tokens: int) -> int:
        return tokens // self.block_tokens * self.block_tokens

    def _blocks(self, sequence: Sequence[int]) -> int:
        return -(-len(sequence) // self.block_tokens)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (left, right) in pairs if left != right), min(len(a), len(b)))
