"""An answer that two engines have read: one close to the reference, one that leaves it early."""

from __future__ import annotations

from dataclasses import replace
from math import sin

from engines.compare.comparison import (
    Alternative,
    Branch,
    ComparedAnswer,
    Continuation,
    EngineAnswer,
    Row,
    TokenScore,
)
from engines.compare.token_scores import ScoredAnswer
from tests.engines.compare.sample import card, row

TEXT = """\
def| is|_prime|(n|):|
   | if| n| <| |1|:|
       | return| False|
   | if| n| %| |2| ==| |0|:|
       | return| n| ==| |2|
   | for| i| in| range|(|3|,| int|(n| **| |0|.|5|)| +| |1|,| |2|):|
       | if| n| %| i| ==| |0|:|
           | return| False|
   | return| True|

|This| function| checks| whether| a| number| is| prime| by| trial| division|:| it| returns| False|\
 below| |2|,| treats| |2| apart|,| and| tries| the| odd| divisors| up| to| the| square| root|.\
"""
PIECES = tuple(TEXT.split("|"))
NOT, OTHER = 900, 901


def scores(scale: float, others: set[int]) -> tuple[TokenScore, ...]:
    """Return scores whose KLD has a wave of this height; `others` are positions with another top token."""
    found = []
    for index, piece in enumerate(PIECES):
        kl = scale * (1 + sin(index * 1.7)) ** 4 / 16
        first = Alternative(piece, 0.81, index)
        second = Alternative(" not", 0.52 if index in others else 0.07, NOT)
        best = (second, replace(first, probability=0.31)) if index in others else (first, second)
        found.append(TokenScore(0.81, (*best, Alternative("\n", 0.04, OTHER)), kl if scale else 0.0))
    return tuple(found)


def unsure_answer() -> ScoredAnswer:
    """Return the text with its engine's own probabilities: high for most tokens, low for some."""
    found = []
    for index, score in enumerate(scores(0.0, set())):
        probability = {16: 0.04, 30: 0.41, 48: 0.15, 90: 0.33, 101: 0.18}.get(index, 0.93)
        other = Alternative(" not", 1 - probability - 0.02, NOT)
        own = replace(score.alternatives[0], probability=probability)
        found.append(
            TokenScore(probability, tuple(sorted((own, other), key=lambda one: -one.probability)), 0.0)
        )
    return ScoredAnswer(tuple(range(len(PIECES))), PIECES, tuple(found))


def _row(title: str, megabytes: int, kld: float) -> Row:
    return replace(row(title, megabytes * 1_000_000, card(kld)), digest=title)


def sample_answer() -> ComparedAnswer:
    """Return the reference and two engines; the second one has a branch."""
    ids = tuple(range(len(PIECES)))
    answer = Continuation(ids, PIECES, "stop")
    left = (*ids[:16], NOT)
    own = Continuation(left, (*PIECES[:16], " not"), "length")
    return ComparedAnswer(
        "Write a Python function that checks whether a number is prime.",
        "p",
        answer,
        EngineAnswer(row("PyTorch bf16", 270_000_000, None), scores(0.0, set()), answer),
        (
            EngineAnswer(_row("OpenVINO int8", 137, 0.0009), scores(0.02, {88}), answer),
            EngineAnswer(_row("OpenVINO int4", 87, 0.192), scores(2.5, {16, 30, 47, 48, 90, 101}), own),
        ),
        (Branch("OpenVINO int4", 16, Continuation((NOT, OTHER), (" not", "\n"), "stop")),),
    )
