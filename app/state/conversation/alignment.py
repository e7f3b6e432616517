"""Which turns of the two sides belong together: one prompt went to both, but a side may have missed some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from app.state.conversation.conversation import Conversation, Turn


def index_of(turn: Turn, conversation: Conversation) -> int | None:
    """Return the index of a turn on the path of a conversation; None where it is not on it."""
    return next((index for index, one in enumerate(conversation.turns) if one is turn), None)


def counterpart(turn: Turn, source: Conversation, other: Conversation) -> int | None:
    """Return the index of the turn of `other` with the same prompt as `turn` of `source`; None without one.

    The same prompt may have been sent several times: the n-th on one side is the n-th on the other.
    """
    if (index := index_of(turn, source)) is None:
        return None
    if other is source:
        return index
    before = sum(one.asked == turn.asked for one in source.turns[:index])
    places = [place for place, one in enumerate(other.turns) if one.asked == turn.asked]
    return places[before] if before < len(places) else None


def pairs(left: Iterable[Turn], right: Iterable[Turn]) -> list[tuple[Turn | None, Turn | None]]:
    """Return the turns of both sides in their order; turns with the same prompt are paired."""
    found: list[tuple[Turn | None, Turn | None]] = []
    waiting = dict(_counted(right))
    for asked, turn in _counted(left):
        while asked in waiting:
            first = next(iter(waiting))
            found.append((turn if first == asked else None, waiting.pop(first)))
            if first == asked:
                break
        else:
            found.append((turn, None))
    return found + [(None, turn) for turn in waiting.values()]


def _counted(turns: Iterable[Turn]) -> Iterable[tuple[tuple[Hashable, int], Turn]]:
    """Yield each turn with its prompt and how often the same prompt was sent before."""
    times: Counter[Hashable] = Counter()
    for turn in turns:
        yield (turn.asked, times[turn.asked]), turn
        times[turn.asked] += 1
