"""Whether two answers agree, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.conversation.agreement import agreement
from app.state.conversation.turn import Turn
from engines.worker.protocol import Error, Sampling

LEFT = Turn(
    "Hi",
    answer="It is one of the caches.",
    token_ids=(1, 2, 3, 4, 5, 6),
    prompt_digest="p",
    reason="stop",
    engine_digest="a",
    sampling=Sampling(),
)
RIGHT = replace(LEFT, engine_digest="b")


def test_identical_answers() -> None:
    assert agreement(LEFT, RIGHT) == "identical, 6 tokens"


def test_the_first_different_words() -> None:
    other = replace(RIGHT, answer="It is one, and no more than that.", token_ids=(1, 2, 3, 9))
    assert agreement(LEFT, other) == "same for 3 tokens, then “of the caches…” / “, and no more…”"


def test_an_answer_that_ends_earlier() -> None:
    other = replace(RIGHT, answer="It is", token_ids=(1, 2))
    assert agreement(LEFT, other) == "same for 2 tokens, then “one of the ca…” / the end"
    assert agreement(replace(LEFT, token_ids=(7,), answer="\n\n"), replace(RIGHT, token_ids=(8,), answer="x"))


@pytest.mark.parametrize(
    "other",
    [
        replace(RIGHT, prompt_digest="q"),
        replace(RIGHT, prompt_digest=""),
        replace(RIGHT, reason="stopped"),
        replace(RIGHT, reason=""),
        replace(RIGHT, token_ids=()),
        replace(RIGHT, error=Error(0, "worker-died", "It ended.")),
    ],
)
def test_answers_that_cannot_be_compared(other: Turn) -> None:
    assert agreement(LEFT, other) == agreement(other, LEFT) == ""


def test_what_else_differs_is_named_first() -> None:
    sampled = replace(RIGHT, sampling=Sampling(temperature=0.8))
    assert agreement(LEFT, sampled) == "sampling differs: identical, 6 tokens"
    control = agreement(LEFT, replace(LEFT))
    assert control == "control run, one engine on both sides: identical, 6 tokens"
