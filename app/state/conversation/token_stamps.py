"""When the tokens of an answer arrived: small integers, saved with its turn, by which it is replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST_TOKENS = 16_384
"""More are not saved: about 6 bytes each, as much as the token ids."""
LONGEST_WAIT = 86_400 * 1_000_000
"""A day, in microseconds: what a wrong clock may claim at most."""


@dataclass(frozen=True)
class TokenStamps:
    """The course of one answer, in whole microseconds."""

    gaps: tuple[int, ...]
    """From the request to the first token, then from each token to the next; at most MOST_TOKENS."""
    characters: tuple[int, ...]
    """How many characters of the answer came with each of these tokens."""
    waited: int = 0
    """From the prompt to the request: in timing mode *in turn* one side waits for the other."""


def token_stamps(
    start_ns: int, token_ns: Sequence[int], characters: Sequence[int], waited_ns: int = 0
) -> TokenStamps | None:
    """Return what is saved of an answer; None without tokens, or if the stamps are not in order.

    Args:
        start_ns: when the request started.
        token_ns: when each token was yielded, by the same clock.
        characters: that came with each token.
        waited_ns: from the prompt to the request.
    """
    times = [start_ns, *token_ns[:MOST_TOKENS]]
    if len(times) == 1 or any(before > after for before, after in pairwise(times)):
        return None
    # The differences of rounded times, not rounded differences, whose errors would add up.
    offsets = [round((time - start_ns) / 1000) for time in times]
    gaps = tuple(after - before for before, after in pairwise(offsets))
    waited = min(max(0, round(waited_ns / 1000)), LONGEST_WAIT)
    return TokenStamps(gaps, tuple(characters[: len(gaps)]), waited)


def spread(total: int, parts: int) -> list[int]:
    """Return `total` divided into `parts` numbers that are as equal as whole numbers can be."""
    ends = [total * part // parts for part in range(parts + 1)]
    return [after - before for before, after in pairwise(ends)]
