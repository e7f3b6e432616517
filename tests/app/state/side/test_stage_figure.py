"""The figure of a side on the stage, from turns with known timings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.conversation.turn import Turn
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.stage_figure import StageFigure, final_figure, live_figure, stage_figure
from engines.measure.timing import Timing, timing
from engines.worker.protocol import Error

MS = 1_000_000
TURN = Turn("Hi", "Hello.", timing=timing(0, [MS * at for at in range(100, 1100, 10)]), reason="stop")
"""100 tokens, one every 10 ms, the first after 100 ms."""


def test_a_complete_answer() -> None:
    assert final_figure(TURN) == StageFigure("100", "tok/s · first token 100 ms")


def test_a_fast_and_a_slow_answer() -> None:
    """20 tokens in 3.8 ms, and one token every two seconds."""
    fast = Turn("Hi", "Hello.", timing=timing(0, [200_000 * at for at in range(20)]))
    assert final_figure(fast).number == "5,000"
    assert final_figure(fast).doubt == "only 20 tokens: do not quote"
    slow = Turn("Hi", "Hello.", timing=timing(0, [2_000 * MS * at for at in range(100)]))
    assert final_figure(slow) == StageFigure("0.50", "tok/s · first token 0 s")


def test_other_programs_were_busy() -> None:
    assert final_figure(replace(TURN, busy_percent=40.0)).doubt == "others used 40 %: do not quote"


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (replace(TURN, error=Error(0, "worker-died", "It ended.", "")), "failed"),
        (replace(TURN, timing=None, reason="stopped"), "cancelled"),
        (replace(TURN, timing=None, reason=""), "no answer"),
        (replace(TURN, timing=Timing()), "no answer"),
        (replace(TURN, timing=timing(0, [MS])), "no rate: an answer of one token"),
        (replace(TURN, timing=timing(0, [MS] * 3)), "no rate: all 3 tokens came at once"),
        (replace(TURN, timing=timing(5, [MS, 3])), "no rate: its time stamps are not in order"),
    ],
)
def test_without_a_number_there_is_a_reason(turn: Turn, words: str) -> None:
    assert final_figure(turn) == StageFigure("", words)


def test_a_live_answer() -> None:
    assert live_figure(171.8) == StageFigure("172", "tok/s now")
    assert live_figure(0.5) == StageFigure("0.5", "tok/s now")
    assert live_figure(0.0) == StageFigure("", "first token")
    assert live_figure(0.0, 12.0) == StageFigure("", "no token for 12 s")


def test_every_phase_has_words() -> None:
    """Without an answer no phase shows a number."""
    side = Side("left")
    for phase in Phase:
        side.enter(phase)
        assert stage_figure(side).words
        assert not stage_figure(side).number


def test_a_ready_side_shows_its_last_answer() -> None:
    side = Side("left")
    side.conversation.add(TURN)
    side.enter(Phase.READY)
    assert stage_figure(side) == final_figure(TURN)
