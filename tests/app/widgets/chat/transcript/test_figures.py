"""The line of figures under an answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.conversation.turn import Turn
from app.widgets.chat.transcript.figures import figures
from engines.measure.timing import Timing

HALF_OF_160, HALF_OF_80 = 74, 34
"""Cells for text in a side of a terminal with 160 or 80 columns."""
FAST = Timing(143, 0.0213, 0.0058, 171.8, 0.0057, 0.0071, 890.0, 0.85)
SLOW = Timing(12_345, 125.0, 2.1, 0.476, 2.1, 2.9, 0.2, 26_000.0)
TURN = Turn("Hi", "Hello.", prompt_tokens=1224, cached=1204, timing=FAST, reason="stop", mode="in turn")


def test_rate_ttft_tokens_reason_and_cached_tokens() -> None:
    assert figures(TURN, HALF_OF_160) == (
        "172 tok/s · TTFT 21.3 ms · 143 tokens · stop · 1,204 of 1,224 cached"
    )
    assert "cached" not in figures(replace(TURN, cached=0), HALF_OF_160)


@pytest.mark.parametrize("timing", [FAST, SLOW, Timing(1), Timing(0)])
@pytest.mark.parametrize("reason", ["stop", "length", "stopped", "context"])
def test_one_line_in_160_columns_and_two_in_80(timing: Timing, reason: str) -> None:
    turn = replace(TURN, timing=timing, reason=reason)
    assert "\n" not in figures(turn, HALF_OF_160)
    narrow = figures(turn, HALF_OF_80).split("\n")
    assert len(narrow) <= 3
    assert max(map(len, narrow)) <= HALF_OF_80
    if reason == "stop":
        assert len(narrow) <= 2


def test_timing_mode_and_latencies_are_elsewhere() -> None:
    text = figures(TURN, 200)
    assert not any(word in text for word in ("in turn", "p50", "p95", "ITL"))


def test_an_answer_of_another_model_says_so_in_any_width() -> None:
    for width in (HALF_OF_80, HALF_OF_160):
        assert "by SmolLM2-135M-Instruct" in figures(TURN, width, ("by SmolLM2-135M-Instruct",))
    interrupted = replace(TURN, timing=None, reason="")
    assert figures(interrupted, 200, ("by demo", "together")).endswith("R retries · by demo · together")


def test_the_first_token_of_the_answer_is_timed_beside_that_of_the_thought() -> None:
    thinking = replace(TURN, thought="Hm.", timing=replace(FAST, ttfo=3.25))
    assert "TTFO 3.25 s" in figures(thinking, 160)
    assert "TTFO" not in figures(replace(thinking, thought=""), 160)
    assert "TTFO" not in figures(replace(thinking, timing=FAST), 160)
