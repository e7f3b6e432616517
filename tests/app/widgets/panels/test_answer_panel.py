"""The Answer panel: timelines, inter-token latencies, MBU and energy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.side.phase import Phase, Span
from app.widgets.panels import timeline
from app.widgets.panels.answer_panel import AnswerPanel
from app.widgets.panels.cost import cost_line
from tests.app.widgets.samples import EMPTY, FULL, GPUS, HUGE, NOTHING_KNOWN

LEFT = (Span(Phase.QUEUED, 10.0, 0.1), Span(Phase.PREFILL, 10.1, 0.2), Span(Phase.DECODE, 10.3, 0.7))
RIGHT = (Span(Phase.QUEUED, 10.0, 1.0), Span(Phase.PREFILL, 11.0, 0.5), Span(Phase.DECODE, 11.5, 2.5))
ANSWERED = replace(
    FULL,
    left=replace(FULL.left, spans=LEFT, gaps=(0.005,) * 98 + (0.05, 0.06)),
    right=replace(FULL.right, spans=RIGHT, gaps=(0.02,) * 50),
)


@pytest.mark.parametrize("width", [36, 60, 120])
def test_both_answers_share_one_axis(width: int) -> None:
    """The left answer takes a quarter of the time of the right one, and of its bar."""
    text = AnswerPanel().draw(ANSWERED, width, 9).plain
    left, right = (next(line for line in text.splitlines() if line.startswith(side)) for side in "LR")
    assert 3 * left.count("█") < right.count("█") + 4
    assert all(figure in text for figure in ("100 ms", "200 ms", "700 ms", "1.00 s", "500 ms", "2.50 s"))
    assert "p50 5.00 ms" in text
    assert "p50 20.0 ms" in text


def test_equal_gaps_fall_into_one_cell() -> None:
    rows = [row for row in AnswerPanel().draw(ANSWERED, 120, 6).plain.splitlines() if "p50" in row]
    assert rows[1].count("█") == 1


@pytest.mark.parametrize("snapshot", [EMPTY, FULL, NOTHING_KNOWN, HUGE, GPUS, ANSWERED])
@pytest.mark.parametrize("size", [(1, 1), (8, 2), (20, 3), (38, 6), (200, 40)])
def test_content_fits_every_size(snapshot: object, size: tuple[int, int]) -> None:
    panel = AnswerPanel()
    panel.snapshot = snapshot  # type: ignore[assignment]
    for draw in (panel.draw, panel.draw_folded):
        assert draw(snapshot, *size).plain.count("\n") < size[1]  # type: ignore[arg-type]


def test_the_folded_line_shows_the_phases() -> None:
    line = AnswerPanel().draw_folded(ANSWERED, 120, 1).plain
    assert "prefill 200 ms" in line
    assert "decode 2.50 s" in line


@pytest.mark.parametrize("width", [36, 52, 60, 120])
def test_mbu_and_energy_are_shown_for_each_side(width: int) -> None:
    rows = AnswerPanel().draw(GPUS, width, 6).plain.splitlines()
    assert rows[-2].startswith("L MBU 68%  2.41 J/token")
    assert rows[-1].startswith("R MBU 22%  J/token –")
    assert all(len(row) <= width for row in rows)


def test_missing_figures_say_how_to_get_them() -> None:
    """MBU needs a measured bandwidth; energy needs answers in turn, as engines share one counter."""
    unmeasured = replace(GPUS.right, bandwidth=None)
    assert "measure the bandwidth in Prepare (F2, F5)" in cost_line(unmeasured, 100).plain
    assert "F2, then F5" in cost_line(unmeasured, 36).plain
    assert "(only in turn)" in cost_line(unmeasured, 100).plain
    assert cost_line(replace(unmeasured, cost=None), 36).plain == "MBU –  J/token –"


def test_mbu_above_100_percent_is_explained_by_the_cache() -> None:
    cached = replace(GPUS.left, device="cpu", bandwidth=1e9)
    assert cost_line(cached, 100).plain.startswith("MBU over 100%: read from the cache")


def test_load_time_and_stalls_are_shown() -> None:
    panel = AnswerPanel()
    text = panel.draw(GPUS, 120, 8).plain
    assert "◌23.4 s" in text
    assert "×2.40 s" in text
    assert text.splitlines()[1].count("×") > 5
    assert timeline.legend(GPUS) == "◌ load · queue ▒ prefill █ decode × stall"
    assert panel.legend(GPUS) == "· queue ▒ prefill █ decode × stall", "the panel has no width yet"
    assert panel.legend(FULL) == panel.LEGEND
    assert "◌23.4 s" in panel.draw(GPUS, 36, 6).plain, "the load moves to the cost line in narrow panels"
    assert "decode 2.40 s  stall 2.40 s" in panel.draw_folded(GPUS, 200, 1).plain


def test_high_panels_have_high_histograms_with_an_axis() -> None:
    rows = AnswerPanel().draw(GPUS, 120, 30).plain.splitlines()
    assert sum("█" in row for row in rows) > 10
    assert any(row.split()[0] == "4.80" and row.split()[-1] == "ms" for row in rows if row.strip())
    assert "12.6 GiB per token · 217 tok/s / 4,280 GB/s" in "\n".join(rows)
