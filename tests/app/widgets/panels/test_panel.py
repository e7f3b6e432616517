"""Tests that apply to every panel, at every size and with every snapshot."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.signal import Signal

from app.state.side.snapshot import Snapshot
from app.themes import variable_defaults
from app.widgets.panels.device import DevicePanel
from app.widgets.panels.kv_blocks import KVBlocksPanel
from app.widgets.panels.memory_panel import MemoryPanel
from app.widgets.panels.panel import NO_ENGINE, Panel
from app.widgets.panels.throughput import ThroughputPanel
from tests.app.driving import wait_until
from tests.app.widgets.samples import (
    ALL,
    EMPTY,
    FULL,
    GPU,
    HUGE,
    PANEL_STYLES,
    OnePanel,
    coloured,
    screen_text,
)

PANELS: tuple[type[Panel], ...] = (ThroughputPanel, MemoryPanel, KVBlocksPanel, DevicePanel)
each_panel = pytest.mark.parametrize("kind", PANELS)


@each_panel
@pytest.mark.parametrize("snapshot", ALL.values(), ids=ALL.keys())
def test_content_fits_every_size(kind: type[Panel], snapshot: Snapshot) -> None:
    panel = kind()
    for width in (1, 5, 13, 24, 41, 56, 120):
        assert panel.draw_folded(snapshot, width, 1).plain.count("\n") == 0
        for height in (2, 3, 5, 9, 20):
            rows = panel.draw(snapshot, width, height).split("\n", allow_blank=True)
            assert len(rows) <= height, (width, height)


@each_panel
@pytest.mark.parametrize("snapshot", ALL.values(), ids=ALL.keys())
def test_no_line_is_cut_at_a_usual_size(kind: type[Panel], snapshot: Snapshot) -> None:
    panel = kind()
    for width in (20, 36, 56, 100):
        for row in panel.draw(snapshot, width, 9).split("\n"):
            assert row.cell_length <= max(width, len(NO_ENGINE)), row.plain


@each_panel
async def test_a_panel_has_focus_title_tooltip_and_help(kind: type[Panel]) -> None:
    app = OnePanel(kind())
    async with app.run_test() as pilot:
        await pilot.press("tab")
        assert app.focused is app.panel
        assert app.panel.border_title == kind.TITLE
        assert str(app.panel.tooltip) == kind.SUMMARY
        assert kind.HELP is not None
        assert len(kind.HELP) > 200


@each_panel
async def test_without_an_engine_a_panel_says_what_to_do(kind: type[Panel]) -> None:
    app = OnePanel(kind())
    async with app.run_test() as pilot:
        assert NO_ENGINE not in screen_text(app), "before the first snapshot that is not known"
        app.panel.show(EMPTY)
        await pilot.pause()
        expected = "No NVIDIA GPU found" if kind is DevicePanel else NO_ENGINE
        assert expected in screen_text(app)


@each_panel
async def test_a_folded_panel_is_one_line(kind: type[Panel]) -> None:
    panel = kind()
    panel.add_class("-folded")
    app = OnePanel(panel)
    async with app.run_test(size=(80, 24)) as pilot:
        panel.styles.height = 1
        panel.show(FULL)
        await wait_until(pilot, lambda: panel.size == Size(78, 1))
        assert screen_text(app).strip().count("\n") == 0


@each_panel
async def test_tiny_terminals_do_not_fail(kind: type[Panel]) -> None:
    app = OnePanel(kind())
    async with app.run_test(size=(60, 20)) as pilot:
        for size in ((1, 1), (2, 2), (7, 4), (12, 8), (200, 60), (3, 40), (90, 3)):
            await pilot.resize_terminal(*size)
            for snapshot in (FULL, HUGE):
                app.panel.show(snapshot)
                await pilot.pause()
        assert app.is_running


@each_panel
async def test_no_color_shows_the_same_content_in_grey(
    kind: type[Panel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = OnePanel(kind())
    async with app.run_test(size=(100, 20)) as pilot:
        app.panel.show(FULL)
        await pilot.pause()
        assert app.no_color
        assert re.search("L (OpenVINO )?int8", screen_text(app)) or kind is DevicePanel
        assert not coloured(app)


class Following(App[None]):
    """An app whose panels follow a signal."""

    CSS_PATH = PANEL_STYLES

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the colours of the app's widgets."""
        return variable_defaults()

    def compose(self) -> ComposeResult:
        """Yield one panel of each kind."""
        self.snapshots: Signal[Snapshot] = Signal(self, "snapshots")
        for kind in PANELS:
            yield kind(self.snapshots)


async def test_panels_follow_a_signal() -> None:
    app = Following()
    async with app.run_test(size=(80, 60)) as pilot:
        app.snapshots.publish(FULL)
        await pilot.pause()
        assert all(panel.snapshot is FULL for panel in app.query(Panel))


async def test_a_refresh_causes_no_layout() -> None:
    app = Following()
    async with app.run_test(size=(80, 60)) as pilot:
        app.snapshots.publish(FULL)
        await wait_until(pilot, lambda: bool(app.query("RatePlot")))
        await pilot.pause()
        layouts: list[object] = []
        app.screen.screen_layout_refresh_signal.subscribe(app.screen, layouts.append)
        app.snapshots.publish(HUGE)
        app.snapshots.publish(FULL)
        await pilot.pause()
        assert not layouts


async def test_new_content_is_drawn_once_and_equal_content_is_not_refreshed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The content drawn for the comparison is the one that is rendered."""
    panel = MemoryPanel()
    app = OnePanel(panel)
    async with app.run_test(size=(80, 12)) as pilot:
        panel.show(FULL)
        await pilot.pause()
        drawn: list[Snapshot] = []
        draw = panel.draw

        def counted(snapshot: Snapshot, width: int, height: int) -> Content:
            drawn.append(snapshot)
            return draw(snapshot, width, height)

        monkeypatch.setattr(panel, "draw", counted)
        fuller = replace(FULL, memory_used=FULL.memory_used * 2)
        before = panel.drawn
        panel.show(fuller)
        await wait_until(pilot, lambda: panel.drawn is not before)
        assert drawn == [fuller]
        shown = panel.drawn
        panel.show(replace(fuller, now=FULL.now + 1))
        await pilot.pause()
        assert len(drawn) == 2
        assert panel.drawn is shown


async def test_panels_below_another_screen_are_not_updated() -> None:
    app = Following()
    async with app.run_test(size=(80, 60)) as pilot:
        app.snapshots.publish(FULL)
        await pilot.pause()
        await app.push_screen(Screen())
        later = replace(GPU, now=FULL.now + 5)
        app.snapshots.publish(later)
        await pilot.pause()
        assert all(panel.snapshot is FULL for panel in app.screen_stack[0].query(Panel))
        app.pop_screen()
        await pilot.pause()
        app.snapshots.publish(later)
        await pilot.pause()
        assert all(panel.snapshot is later for panel in app.query(Panel))


class BrokenPanel(Panel):
    """Cannot draw one particular snapshot."""

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Fail for FULL."""
        if snapshot is FULL:
            raise ZeroDivisionError("a bug")
        return Content("drawn")

    draw_folded = draw


async def test_a_panel_that_cannot_be_drawn_says_so_and_draws_the_next_snapshot() -> None:
    panel = BrokenPanel()
    async with OnePanel(panel).run_test(size=(100, 10)) as pilot:
        panel.show(FULL)
        await wait_until(pilot, lambda: "ZeroDivisionError('a bug')" in screen_text(pilot.app))
        panel.show(HUGE)
        await wait_until(pilot, lambda: "drawn" in screen_text(pilot.app))
