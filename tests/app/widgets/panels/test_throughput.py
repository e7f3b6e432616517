"""The throughput panel: shared axes, gaps without samples, sparklines on small panels."""

from __future__ import annotations

import sys
from dataclasses import replace
from subprocess import run
from typing import Any

import pytest
from textual.app import ComposeResult
from textual.pilot import Pilot

from app.state.side.phase import Phase
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.widgets.panels.rate_lines import thinned, unbroken
from app.widgets.panels.throughput import (
    ThroughputPanel,
    current_rate,
    shared_top,
    state_text,
)
from tests.app.widgets.samples import EMPTY, FULL, HUGE, LEFT, NOW, RIGHT, OnePanel, rates, screen_text


async def plot_of(panel: ThroughputPanel, pilot: Pilot[Any]) -> Any:
    """Return the plot, which is mounted after the first frame."""
    for _ in range(100):
        if panel.query("PlotWidget"):
            break
        await pilot.pause(0.05)
    await pilot.pause(0.1)
    return panel.query_one("PlotWidget")


def test_both_sides_share_the_scale() -> None:
    assert shared_top(FULL) == 200
    assert shared_top(EMPTY) == 1
    assert shared_top(HUGE) == pytest.approx(1e13)


def test_the_current_rate_is_known_only_while_a_side_decodes() -> None:
    assert current_rate(LEFT, NOW) == LEFT.rates[-1][1]
    assert current_rate(LEFT, NOW + 3) is None
    assert current_rate(replace(LEFT, phase=Phase.READY), NOW) is None


@pytest.mark.parametrize(
    ("side", "text"),
    [
        (SideSnapshot(""), "no engine"),
        (SideSnapshot("a", Phase.PREFILL), "prefill"),
        (SideSnapshot("a", Phase.READY, ((NOW - 5, 150.0),), last_rate=182.4), "ready, last 182 tok/s"),
        (SideSnapshot("a", Phase.DECODE, ((NOW, 63.24),)), "63.2 tok/s"),
    ],
)
def test_the_state_text_shows_rate_or_phase(side: SideSnapshot, text: str) -> None:
    assert state_text(side, NOW) == text


def test_a_line_is_interrupted_without_samples() -> None:
    runs = unbroken([*rates(50, NOW - 50, NOW - 40), *rates(50, NOW - 30, NOW), (NOW, float("nan"))], NOW)
    assert [(run[0][0], run[-1][0]) for run in runs] == [(-50, -40), (-30, 0)]
    assert unbroken([(NOW - 5, 7.0)], NOW) == [[(-5.25, 7.0), (-5, 7.0)]]
    assert unbroken([(NOW - 61, 7.0), (NOW + 1, 7.0)], NOW) == []


def test_samples_are_averaged_per_dot() -> None:
    """Steps are aligned to the clock and only complete ones count, so that the line changes once per step."""
    samples = [(0.0, 10.0), (0.5, 20.0), (1.0, 30.0), (1.5, 0.0), (2.0, 40.0)]
    assert thinned(samples, 1.0, 2.0) == [(0.0, 15.0), (1.0, 30.0)]
    assert thinned([*samples, (2.25, 80.0)], 1.0, 2.0) == thinned(samples, 1.0, 2.0)
    assert len(thinned(rates(50), 60 / 80, NOW)) <= 80


def test_axis_labels_are_short() -> None:
    from app.widgets.panels.rate_plot import RateLabels, TimeLabels

    assert RateLabels().get_labels_for_ticks([0, 2.5, 250, 5000, 20000, 1e6, 5e9]) == [
        "0",
        "2.5",
        "250",
        "5000",
        "20k",
        "1M",
        "5G",
    ]
    assert TimeLabels().get_labels_for_ticks([-60.0, -45.0, -30.0, -15.0, 0.0])[::4] == ["-60s", "now"]


async def test_the_plot_shows_both_sides() -> None:
    panel = ThroughputPanel()
    app = OnePanel(panel)
    async with app.run_test(size=(80, 16)) as pilot:
        plot = await plot_of(panel, pilot)
        assert not plot.display
        panel.show(FULL)
        await pilot.pause(0.1)
        text = screen_text(app)
        assert plot.display
        assert "OpenVINO int8" in text
        assert "PyTorch fp32" in text
        assert "tok/s" in text
        assert "-45s" in text
        assert "200" in text
        assert any("\u2801" <= character <= "\u28ff" for character in text.split("\n", 3)[3])
        assert any(character in "▀▄▘▝▖▗█" for character in text.split("\n", 3)[3])


async def test_lines_use_the_colours_of_the_theme() -> None:
    panel = ThroughputPanel()
    app = OnePanel(panel)
    async with app.run_test(size=(80, 16)) as pilot:
        plot = await plot_of(panel, pilot)
        panel.show(FULL)
        await pilot.pause(0.1)
        dark = {line.line_style for line in plot._datasets}
        app.theme = "playground-light"
        await pilot.pause(0.2)
        light = {line.line_style for line in plot._datasets}
        assert dark == {"#56B4E9", "#E69F00"}
        assert light == {"#005A8E", "#9C3D00"}


async def test_sparklines_replace_a_plot_that_does_not_fit() -> None:
    panel = ThroughputPanel()
    app = OnePanel(panel)
    async with app.run_test(size=(80, 5)) as pilot:
        plot = await plot_of(panel, pilot)
        panel.show(FULL)
        await pilot.pause(0.1)
        assert not plot.display
        rows = screen_text(app).split("\n")
        assert "L OpenVINO int8" in rows[1]
        assert "▇" in rows[1]
        assert "R PyTorch fp32" in rows[2]


def test_one_line_shows_two_sparklines() -> None:
    line = ThroughputPanel().draw_folded(Snapshot(NOW, LEFT, RIGHT), 78, 1).plain
    assert "L " in line
    assert "R " in line
    assert line.count("tok/s") == 3 or line.count("tok/s") == 2


def test_the_plot_is_not_imported_at_start_up() -> None:
    code = (
        "import sys, app.widgets.panels.panel_strip; assert not {'numpy', 'textual_plot'} & set(sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_plot_that_is_mounted_while_the_app_closes() -> None:
    """Nothing is composed any more, so that there is nothing to lay out; that is no error."""
    from app.widgets.panels.rate_plot import RatePlot

    class WithoutParts(RatePlot):
        def compose(self) -> ComposeResult:
            """As Textual does for a widget that is being removed."""
            return iter(())

    app = OnePanel(ThroughputPanel())
    async with app.run_test() as pilot:
        await app.screen.mount(plot := WithoutParts())
        await pilot.pause()
        assert plot.is_mounted
