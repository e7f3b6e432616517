"""The throughput panel: shared axes, gaps without samples, sparklines on small panels."""

from __future__ import annotations

import re
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
    PLOT_LINES,
    ThroughputPanel,
    current_rate,
    label,
    shared_top,
    state_text,
)
from tests.app.driving import wait_until
from tests.app.widgets.samples import EMPTY, FULL, HUGE, LEFT, NOW, RIGHT, OnePanel, rates, screen_text

PRECISIONS = ("int8", "int4", "fp32", "bf16", "int8-sq", "int4-awq")


async def plot_of(panel: ThroughputPanel, pilot: Pilot[Any]) -> Any:
    """Return the plot, which is mounted after the first frame."""
    await wait_until(pilot, lambda: bool(panel.query("RatePlot")))
    return panel.query_one("RatePlot")


def line_colours(plot: Any) -> set[str]:
    """Return the colours that are drawn in the plot."""
    canvas = plot.query_one("#plot")
    segments = [segment for y in range(canvas.size.height) for segment in canvas.render_line(y)]
    colours = [segment.style.color for segment in segments if segment.style and segment.text.strip()]
    return {colour.get_truecolor().hex.upper() for colour in colours if colour}


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
        (SideSnapshot("a", Phase.DECODE, ((NOW, 63.24),)), "63 tok/s"),
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
        await wait_until(pilot, lambda: "token 143" in screen_text(app))
        text = screen_text(app)
        assert plot.display
        assert "L int8 166 tok/s" in text
        assert "R fp32 44 tok/s" in text
        assert "200" in text
        assert any("\u2801" <= character <= "\u28ff" for character in text.split("\n", 3)[3])
        assert any(character in "▀▄▘▝▖▗█" for character in text.split("\n", 3)[3])


async def test_lines_use_the_colours_of_the_theme() -> None:
    panel = ThroughputPanel()
    app = OnePanel(panel)
    async with app.run_test(size=(80, 16)) as pilot:
        plot = await plot_of(panel, pilot)
        dark, light = {"#56B4E9", "#E69F00"}, {"#005A8E", "#9C3D00"}
        panel.show(FULL)
        await wait_until(pilot, lambda: line_colours(plot) >= dark)
        assert not line_colours(plot) & light
        app.theme = "playground-light"
        await wait_until(pilot, lambda: line_colours(plot) >= light)
        assert not line_colours(plot) & dark


async def test_sparklines_replace_a_plot_that_does_not_fit() -> None:
    panel = ThroughputPanel()
    app = OnePanel(panel)
    async with app.run_test(size=(80, 5)) as pilot:
        plot = await plot_of(panel, pilot)
        panel.show(FULL)
        await wait_until(pilot, lambda: "L int8" in screen_text(app).split("\n")[1])
        assert not plot.display
        rows = screen_text(app).split("\n")
        assert "▇" in rows[1]
        assert "R fp32" in rows[2]


@pytest.mark.parametrize("width", [26, 29, 36, 49, 62, 90])
@pytest.mark.parametrize("height", [1, 2, 4, 6, 8, 11])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("OpenVINO int8", "PyTorch fp32"),
        ("OpenVINO int4", "OpenVINO int8"),
        ("PyTorch compiled bf16", "PyTorch bf16"),
        ("TensorRT-LLM int8-sq on 2 GPUs", "TensorRT-LLM int4-awq on 2 GPUs"),
    ],
)
def test_legends_never_cut_the_precision(left: str, right: str, width: int, height: int) -> None:
    """The legend says what differs: the precision, or the whole title where both have the same one."""
    sides = [
        replace(side, title=title, precision=next(word for word in title.split() if word in PRECISIONS))
        for side, title in ((LEFT, left), (RIGHT, right))
    ]
    panel = ThroughputPanel()
    panel._plot = None if height <= PLOT_LINES else object()  # type: ignore[assignment]
    text = panel.draw(Snapshot(NOW, *sides), width, height).plain if height > 1 else ""
    text = text or panel.draw_folded(Snapshot(NOW, *sides), width, 1).plain
    shown = [word for word in re.split(r"[\s…]+", text) if word.startswith(("int", "fp", "bf"))]
    assert all(word in (side.precision for side in sides) for word in shown)
    if width >= (62 if height == 1 else 36 if height > PLOT_LINES else 49):
        assert set(shown) == {side.precision for side in sides}
    same = sides[0].precision == sides[1].precision
    assert ("PyTorch" in text) == (same and "PyTorch" in text)


@pytest.mark.parametrize(
    ("width", "text"),
    [(30, "PyTorch compiled bf16"), (21, "PyTorch compiled bf16"), (14, "PyTorch… bf16"), (6, "bf16")],
)
def test_equal_precisions_show_the_backend_too(width: int, text: str) -> None:
    left = replace(LEFT, title="PyTorch compiled bf16", precision="bf16")
    assert label(left, replace(RIGHT, title="PyTorch bf16", precision="bf16"), width) == text
    assert label(left, RIGHT, width) == "bf16"


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


async def test_full_screen_shows_the_last_minute() -> None:
    panel = ThroughputPanel()
    app = OnePanel(panel)
    async with app.run_test(size=(80, 24)) as pilot:
        await plot_of(panel, pilot)
        panel.show(FULL)
        await wait_until(pilot, lambda: "token 143" in screen_text(app))
        panel.focus()
        await pilot.press("f7")
        panel.show(replace(FULL, now=NOW + 0.5))
        await wait_until(pilot, lambda: "-45s" in screen_text(app))
        await pilot.press("f7")
        panel.show(FULL)
        await wait_until(pilot, lambda: "token 143" in screen_text(app))
