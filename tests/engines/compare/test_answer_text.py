"""What is said of a compared answer."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from engines.compare.answer_text import heat, is_control, margin, other_tops, split, unsure, verdict
from engines.compare.comparison import Alternative, EngineAnswer, Row, TokenScore
from tests.engines.compare.sample_answer import PIECES, sample_answer, scores

ANSWER = sample_answer()
INT8, INT4 = ANSWER.engines


def test_where_an_engine_leaves_the_answer() -> None:
    assert split(ANSWER, INT4) == 16
    assert other_tops(ANSWER, INT4)[:2] == [16, 30]
    assert split(ANSWER, ANSWER.reference) is None
    assert verdict(ANSWER, INT4) == f"leaves at token 17 of {len(PIECES)}: a real difference, margin 2.4 nat"
    same = replace(INT8, scores=scores(0.001, set()))
    assert verdict(ANSWER, same) == f"writes the same {len(PIECES)} tokens"


def test_a_tie_is_called_one() -> None:
    """Less than 0.1 nats between the two most likely tokens of the reference."""
    tie = TokenScore(0.41, (Alternative("a", 0.41, 16), Alternative("b", 0.4, 17)))
    tied = replace(
        ANSWER.reference, scores=(*ANSWER.reference.scores[:16], tie, *ANSWER.reference.scores[17:])
    )
    assert verdict(replace(ANSWER, reference=tied), INT4).endswith(": a tie, margin 0.02 nat")


@pytest.mark.parametrize(
    ("alternatives", "nats"),
    [
        ((), inf),
        ((Alternative("a", 1.0, 1),), inf),
        ((Alternative("a", 0.0, 1), Alternative("b", 0.0, 2)), inf),
    ],
)
def test_the_margin_of_too_few_tokens(alternatives: tuple[Alternative, ...], nats: float) -> None:
    assert margin(TokenScore(0.5, alternatives)) == nats


def test_the_reference_itself_is_a_control_run() -> None:
    control = EngineAnswer(ANSWER.reference.row, ANSWER.reference.scores, ANSWER.answer)
    assert is_control(ANSWER, control)
    assert verdict(ANSWER, control).startswith("control run, the reference itself: writes the same")
    assert not is_control(ANSWER, INT8)
    other_kv = replace(control, row=replace(control.row, kv_precision="u8"))
    assert not is_control(ANSWER, other_kv)


def test_an_engine_that_failed() -> None:
    failed = EngineAnswer(Row("OpenVINO fp8", "openvino", "fp8", "auto", "", error="No FP8."))
    assert verdict(ANSWER, failed) == "No FP8."


def test_shades() -> None:
    assert [heat(kl) for kl in (0.0, 0.0099, 0.01, 0.1, 1.0, 5.0)] == [0, 0, 1, 2, 3, 3]
    assert [unsure(p) for p in (1.0, 0.5, 0.49, 0.19, 0.04)] == [0, 0, 1, 2, 3]
