"""How many times as fast one side decodes as the other, over all answers of the two engines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from app.state.conversation.alignment import pairs
from app.state.conversation.turn import Turn
from engines.measure.other_programs import BUSY_PERCENT

REFERENCE = "PyTorch"
SHORT_TOKENS = 64
"""The rate of a shorter answer is mostly that of its first tokens."""
SMALL_PARAMETERS = 100_000_000
"""Of a smaller model the decode rate is mostly that of Python and of starting kernels."""
LAUNCH_BOUND = 20
"""Memory bandwidth does not explain a larger ratio: eager PyTorch starts hundreds of kernels per token."""
Pair = tuple[Turn, Turn]
"""The answers of the engine and of the reference to one prompt."""


@dataclass(frozen=True)
class SpeedRatio:
    """Ratios of decode rates, engine / reference."""

    ratios: tuple[float, ...]
    """One for each pair of answers that is counted, in order."""
    last: Pair
    """The last answers of the engine and of the reference, whether counted or not."""
    doubt: str = ""
    """Why the ratios should not be quoted; empty if they may be."""

    @property
    def median(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)


def speed_ratio(
    left: Sequence[Turn], right: Sequence[Turn], parameters: int | None = None
) -> SpeedRatio | None:
    """Return the ratios of the answers by the engines of the last turns; None if those cannot be compared.

    Answers that are short, or were given while other programs were busy, count only if all answers are.
    The reference is PyTorch if exactly one side is PyTorch, else the right side.

    Args:
        left: the turns of the left side, oldest first.
        right: those of the right side.
        parameters: of the smaller model; None if unknown.
    """
    if not left or not right or left[-1].asked != right[-1].asked:
        return None
    last = left[-1], right[-1]
    swap = _is_reference(left[-1]) and not _is_reference(right[-1])
    found = [pair for pair in _complete(pairs(left, right)) if _same_engines(pair, last)]
    if not found or found[-1] != last:
        return None
    counted = [(b, a) if swap else (a, b) for a, b in found]
    fair = [pair for pair in counted if not doubt_of(pair)]
    ratios = tuple(_ratio(pair) for pair in fair or counted)
    return SpeedRatio(
        ratios=ratios,
        last=counted[-1],
        doubt=_small(parameters, ratios, counted[-1][1]) if fair else doubt_of(counted[-1]),
    )


def doubt_of(pair: Pair) -> str:
    """Return why the speeds of two answers should not be quoted; empty if they may be."""
    busy = max(turn.busy_percent or 0.0 for turn in pair)
    if busy >= BUSY_PERCENT:
        return f"other programs used {busy:.0f} % of this machine"
    if min(turn.timing.tokens for turn in pair if turn.timing) < SHORT_TOKENS:
        return f"answers of fewer than {SHORT_TOKENS} tokens"
    return ""


def _small(parameters: int | None, ratios: Sequence[float], reference: Turn) -> str:
    if parameters is None or parameters >= SMALL_PARAMETERS:
        return ""
    few = f"{parameters / 1e6:.0f}M parameters are so few that"
    if median(ratios) > LAUNCH_BOUND and _is_reference(reference):
        return f"{few} {REFERENCE} is launch-bound: it waits for kernels to start, not for memory"
    return f"{few} it mostly measures overhead"


def _complete(found: Iterable[tuple[Turn | None, Turn | None]]) -> list[Pair]:
    """Return the pairs of which both answers have a decode rate, measured in the same timing mode."""
    return [
        (a, b)
        for a, b in found
        if a and b and _rate(a) and _rate(b) and not (a.error or b.error) and a.mode == b.mode
    ]


def _same_engines(pair: Pair, last: Pair) -> bool:
    return all(
        (one.engine, one.checkpoint, one.mode, one.own_gpu)
        == (other.engine, other.checkpoint, other.mode, other.own_gpu)
        for one, other in zip(pair, last, strict=True)
    )


def _ratio(pair: Pair) -> float:
    engine, reference = (_rate(turn) or 0.0 for turn in pair)
    return engine / reference


def _rate(turn: Turn) -> float | None:
    return turn.timing.decode_rate if turn.timing else None


def _is_reference(turn: Turn) -> bool:
    return turn.engine.rpartition(" ")[0] == REFERENCE
