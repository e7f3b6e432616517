"""The panel of the last answers: timelines and inter-token latencies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.series import Phase, Span
from app.widgets.answer import AnswerPanel
from tests.app.widgets.samples import EMPTY, FULL, HUGE, NOTHING_KNOWN

LEFT = (Span(Phase.QUEUED, 10.0, 0.1), Span(Phase.PREFILL, 10.1, 0.2), Span(Phase.DECODE, 10.3, 0.7))
RIGHT = (Span(Phase.QUEUED, 10.0, 1.0), Span(Phase.PREFILL, 11.0, 0.5), Span(Phase.DECODE, 11.5, 2.5))
ANSWERED = replace(
    FULL,
    left=replace(FULL.left, spans=LEFT, gaps=(0.005,) * 98 + (0.05, 0.06)),
    right=replace(FULL.right, spans=RIGHT, gaps=(0.02,) * 50),
)


@pytest.mark.parametrize("width", [36, 60, 120])
def test_both_answers_on_one_axis(width: int) -> None:
    """The left answer takes a quarter of the bar that the right one fills."""
    text = AnswerPanel().draw(ANSWERED, width, 9).plain
    left, right = (next(line for line in text.splitlines() if line.startswith(side)) for side in "LR")
    assert 3 * left.count("█") < right.count("█") + 4
    assert all(figure in text for figure in ("100 ms", "200 ms", "700 ms", "1.00 s", "500 ms", "2.50 s"))
    assert "p50 5.00 ms" in text
    assert "p50 20.0 ms" in text


def test_equal_gaps_stand_in_one_cell() -> None:
    rows = [row for row in AnswerPanel().draw(ANSWERED, 120, 6).plain.splitlines() if "p50" in row]
    assert rows[1].count("█") == 1


@pytest.mark.parametrize("snapshot", [EMPTY, FULL, NOTHING_KNOWN, HUGE, ANSWERED])
@pytest.mark.parametrize("size", [(1, 1), (8, 2), (20, 3), (38, 6), (200, 40)])
def test_any_size(snapshot: object, size: tuple[int, int]) -> None:
    panel = AnswerPanel()
    panel.snapshot = snapshot  # type: ignore[assignment]
    for draw in (panel.draw, panel.draw_folded):
        assert draw(snapshot, *size).plain.count("\n") < size[1]  # type: ignore[arg-type]


def test_a_line_says_the_phases() -> None:
    line = AnswerPanel().draw_folded(ANSWERED, 120, 1).plain
    assert "prefill 200 ms" in line
    assert "decode 2.50 s" in line
