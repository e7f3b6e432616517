"""What can be said of a compared answer: where an engine leaves it, and whether that is a tie."""

from __future__ import annotations

from math import inf, log

from engines.compare.comparison import Alternative, ComparedAnswer, EngineAnswer, TokenScore

HEAT = (0.01, 0.1, 1.0)
"""KLDs in nats from which on a token is shaded more."""
UNSURE = (0.5, 0.2, 0.05)
"""Probabilities below which a token is shaded more."""
TIE = 0.1
"""Nats between the reference's two most likely tokens, below which their order is no preference."""


def heat(kl: float) -> int:
    """Return the shade of a token, 0 to 3."""
    return sum(kl >= limit for limit in HEAT)


def unsure(probability: float) -> int:
    """Return the shade of a token by its probability, 0 to 3."""
    return sum(probability < limit for limit in UNSURE)


def has_other_top(reference: TokenScore, score: TokenScore) -> bool:
    """Return whether the most likely token is not the reference's."""
    return _top(reference) != _top(score)


def other_tops(answer: ComparedAnswer, engine: EngineAnswer) -> list[int]:
    """Return the positions at which the engine's most likely token is not the reference's."""
    pairs = zip(answer.reference.scores, engine.scores, strict=True)
    return [index for index, (reference, score) in enumerate(pairs) if has_other_top(reference, score)]


def others(score: TokenScore, written: int) -> list[Alternative]:
    """Return the most likely tokens without the one that is written, which is given by its id."""
    return [one for one in score.alternatives if one.token_id != written]


def split(answer: ComparedAnswer, engine: EngineAnswer) -> int | None:
    """Return the first position at which the engine would write another token than the answer's.

    None if it would have written the same answer.
    """
    pairs = zip(answer.answer.token_ids, engine.scores, strict=True)
    return next((index for index, (token, score) in enumerate(pairs) if _top(score) != token), None)


def margin(score: TokenScore) -> float:
    """Return ln P(most likely) − ln P(second) in nats; infinite if only one token is known."""
    first, second, *_ = (*(one.probability for one in score.alternatives), 0.0, 0.0)
    return log(first / second) if first > 0 and second > 0 else inf


def is_control(answer: ComparedAnswer, engine: EngineAnswer) -> bool:
    """Return whether the engine is the reference itself: a control run, not a comparison."""
    same_kv = engine.row.kv_precision == answer.reference.row.kv_precision
    return same_kv and engine.row.digest == answer.reference.row.digest != ""


def verdict(answer: ComparedAnswer, engine: EngineAnswer) -> str:
    """Return where the engine leaves the answer, and how decided the reference is there."""
    if engine.row.error:
        return engine.row.error
    prefix = "control run, the reference itself: " if is_control(answer, engine) else ""
    index = split(answer, engine)
    if index is None:
        return f"{prefix}writes the same {len(engine.scores)} tokens"
    nats = margin(answer.reference.scores[index])
    kind = f"a tie, margin {nats:.2f} nat" if nats < TIE else f"a real difference, margin {nats:.2g} nat"
    return f"{prefix}leaves at token {index + 1} of {len(engine.scores)}: {kind}"


def _top(score: TokenScore) -> int:
    return score.alternatives[0].token_id if score.alternatives else -1
