"""The passages at which an engine differs most from the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp

from engines.compare.comparison import Alternative, Passage, Position
from engines.measure.quality import position_divergences
from engines.worker.protocol import Scored

WIDTH = 40
"""Tokens of a passage."""
PASSAGES = 2
"""In each text."""
SHOWN = 5
"""Alternatives of each position."""


def worst_windows(divergences: Sequence[float]) -> list[range]:
    """Return windows of positions around the largest KL divergences, the worst first; they do not overlap."""
    windows, taken = list[range](), set[int]()
    for index in sorted(range(len(divergences)), key=lambda one: -divergences[one]):
        if len(windows) == PASSAGES:
            break
        start = max(0, min(index - WIDTH // 2, len(divergences) - WIDTH))
        window = range(start, min(start + WIDTH, len(divergences)))
        if taken.isdisjoint(window):
            taken.update(window)
            windows.append(window)
    return windows


def shown_ids(windows: Sequence[range], *sides: Scored) -> set[int]:
    """Return the ids of all alternatives in these windows."""
    return {
        token
        for scored in sides
        for window in windows
        for index in window
        for token in scored.top_ids[index][:SHOWN]
    }


def passages(
    text: str, pieces: Sequence[str], reference: Scored, scored: Scored, texts: Mapping[int, str]
) -> list[Passage]:
    """Return the worst passages of a text.

    Args:
        text: its name.
        pieces: the text of each token, [n]; the scores are of the tokens after the first, [n − 1].
        texts: the text of each alternative, by its id.
    """
    divergences = position_divergences(reference, scored)
    return [
        Passage(
            text,
            window.start,
            tuple(
                Position(
                    pieces[index + 1],
                    divergences[index],
                    alternatives(reference, index, texts),
                    alternatives(scored, index, texts),
                )
                for index in window
            ),
        )
        for window in worst_windows(divergences)
    ]


def alternatives(scored: Scored, index: int, texts: Mapping[int, str]) -> tuple[Alternative, ...]:
    """Return the most likely tokens at a position, best first, at most SHOWN.

    Args:
        texts: the text of each token id.
    """
    best = zip(scored.top_ids[index][:SHOWN], scored.top_logprobs[index], strict=False)
    return tuple(Alternative(texts.get(token, f"#{token}"), exp(value), token) for token, value in best)
