"""The Answer panel: timelines, inter-token latencies, MBU and energy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.side.phase import Phase, Span
from app.state.side.snapshot import Snapshot
from app.widgets.panels import timeline
from app.widgets.panels.answer_panel import AnswerPanel
from app.widgets.panels.answer_table import answer_table
from app.widgets.panels.cost import cost_line
from app.widgets.panels.panel import sides
from tests.app.widgets.samples import EMPTY, FULL, GPUS, HUGE, NOTHING_KNOWN

LEFT = (Span(Phase.QUEUED, 10.0, 0.1), Span(Phase.PREFILL, 10.1, 0.2), Span(Phase.DECODE, 10.3, 0.7))
RIGHT = (Span(Phase.QUEUED, 10.0, 1.0), Span(Phase.PREFILL, 11.0, 0.5), Span(Phase.DECODE, 11.5, 2.5))
ANSWERED = replace(
    FULL,
    left=replace(FULL.left, phase=Phase.READY, spans=LEFT, gaps=(0.005,) * 98 + (0.05, 0.06)),
    right=replace(FULL.right, phase=Phase.READY, spans=RIGHT, gaps=(0.02,) * 50),
)


def bars(text: str) -> list[str]:
    """Return the timelines: below the table, which has no such glyphs."""
    return [line for line in text.splitlines() if "█" in line and line[0] in "LR"][:2]


def columns(text: str) -> list[str]:
    return text.splitlines()[0].split()


@pytest.mark.parametrize("width", [36, 60, 120])
def test_both_timelines_share_one_axis(width: int) -> None:
    """The left answer takes a quarter of the time of the right one, and of its bar."""
    left, right = bars(AnswerPanel().draw(ANSWERED, width, 7).plain)
    assert 3 * left.count("█") < right.count("█") + 4
    assert "·" not in left.rstrip("·"), "dots are what is free, not what waits"


def test_the_table_names_every_figure() -> None:
    rows = AnswerPanel().draw(ANSWERED, 62, 5).plain.splitlines()
    assert rows[0].split() == ["wait", "prefill", "decode", "stalls", "p50", "p95"]
    assert rows[1].split() == ["L", "100", "ms", "200", "ms", "700", "ms", "–", "5.00", "ms", "5.00", "ms"]
    assert rows[2].split() == ["R", "1.00", "s", "500", "ms", "2.50", "s", "–", "20.0", "ms", "20.0", "ms"]
    # Each figure ends below the end of its name.
    for name in ("wait", "prefill", "decode", "p50", "p95"):
        end = rows[0].index(name) + len(name)
        assert all(row[end - 1] == "s" for row in rows[1:3]), name


def test_narrow_tables_leave_out_what_is_empty_first() -> None:
    assert columns(AnswerPanel().draw(ANSWERED, 49, 5).plain) == ["wait", "prefill", "decode", "p50", "p95"]
    assert columns(AnswerPanel().draw(ANSWERED, 36, 5).plain) == ["prefill", "decode", "p50", "p95"]
    assert "stalls" in columns(AnswerPanel().draw(GPUS, 36, 5).plain), "a stall is shown"
    assert answer_table(sides(ANSWERED), 6) == []


@pytest.mark.parametrize("width", range(20, 140, 7))
@pytest.mark.parametrize("snapshot", [ANSWERED, GPUS, FULL])
def test_the_table_fits_the_width(snapshot: Snapshot, width: int) -> None:
    assert all(row.cell_length <= width for row in answer_table(sides(snapshot), width))


def test_bars_stand_behind_the_figures() -> None:
    """The longest time of a scale fills its cells, one of a fifth of it a fifth of them."""
    _, _, right = answer_table(sides(ANSWERED), 120)
    wait, prefill, decode, p50, p95 = [
        right.plain[span.start : span.end] for span in right.spans if "on " in str(span.style)
    ]
    assert decode.endswith("2.50 s")
    assert p50 == p95
    full = len(decode) + 1  # a column for `prefill` is a cell wider than one for `decode`
    assert len(prefill) == round(full * 0.5 / 2.5)
    assert len(prefill) < len(wait) < len(decode)


def test_a_running_clock_has_whole_seconds() -> None:
    spans = (Span(Phase.PREFILL, 1.0, 0.2), Span(Phase.DECODE, 1.2, 7.3))
    running = replace(ANSWERED.left, phase=Phase.DECODE, spans=spans)
    rows = answer_table(sides(replace(ANSWERED, left=running)), 80)
    assert "7 s" in rows[1].plain
    assert "7.3" not in rows[1].plain
    ended = answer_table(sides(replace(ANSWERED, left=replace(running, phase=Phase.READY))), 80)
    assert "7.30 s" in ended[1].plain


def test_equal_gaps_fall_into_one_cell() -> None:
    rows = AnswerPanel().draw(ANSWERED, 120, 12).plain.splitlines()
    histogram = rows[-4]
    assert histogram.startswith("R ")
    assert histogram.count("█") == 1


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
    assert rows[-2].startswith("L MBU 68 %  2.41 J/token")
    assert rows[-1].startswith("R MBU 22 %  J/token –")
    assert all(len(row) <= width for row in rows)


def test_missing_figures_say_how_to_get_them() -> None:
    """MBU needs a measured bandwidth; energy needs answers in turn, as engines share one counter."""
    unmeasured = replace(GPUS.right, bandwidth=None)
    assert "measure the bandwidth on Models (F2, F5)" in cost_line(unmeasured, 100).plain
    assert "F2, then F5" in cost_line(unmeasured, 36).plain
    assert "(only in turn)" in cost_line(unmeasured, 100).plain
    assert cost_line(replace(unmeasured, cost=None), 36).plain == "MBU –  J/token –"


def test_mbu_above_100_percent_is_explained_by_the_cache() -> None:
    cached = replace(GPUS.left, device="cpu", bandwidth=1e9)
    assert cost_line(cached, 100).plain.startswith("MBU over 100 %: read from the cache")


def test_load_time_and_stalls_are_shown() -> None:
    panel = AnswerPanel()
    text = panel.draw(GPUS, 120, 8).plain
    assert "load 23.4 s" in text
    assert columns(text)[3] == "stalls"
    assert "2.40 s" in text.splitlines()[2]
    assert bars(text)[1].count("×") > 5
    assert timeline.legend(GPUS) == "╌ wait ▒ prefill █ decode × stall"
    assert panel.legend(FULL) == ""
    assert "load 23.4 s" in panel.draw(GPUS, 49, 6).plain
    assert "decode 2.40 s  stall 2.40 s" in panel.draw_folded(GPUS, 200, 1).plain


def test_high_panels_have_high_histograms_with_an_axis() -> None:
    rows = AnswerPanel().draw(GPUS, 120, 30).plain.splitlines()
    assert sum("█" in row for row in rows) > 10
    assert any(row.split()[0] == "4.80" and row.split()[-1] == "ms" for row in rows if row.strip())
    assert "12.6 GiB per token · 217 tok/s / 4,280 GB/s" in "\n".join(rows)
