"""The panel strip: layout by terminal size, hiding, folding and full screen."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.signal import Signal
from textual.widgets import Static

import app.widgets.panels.panel_strip as strips
from app.state.side.snapshot import Snapshot
from app.themes import variable_defaults
from app.widgets.panels.panel import Panel
from app.widgets.panels.panel_strip import PanelStrip
from app.widgets.panels.rate_plot import RatePlot
from tests.app.driving import is_composed, until_screen, wait_until
from tests.app.widgets.samples import FULL, GPU, curve, screen_text

STYLES = Path(strips.__file__).parents[2] / "styles" / "panels.tcss"


class Chat(Screen[None]):
    """A screen with a panel strip."""

    HORIZONTAL_BREAKPOINTS = strips.HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = strips.VERTICAL_BREAKPOINTS

    def compose(self) -> ComposeResult:
        """Yield a widget and the strip below it."""
        self.snapshots: Signal[Snapshot] = Signal(self, "snapshots")
        yield Static("chat", id="chat")
        yield PanelStrip(self.snapshots)


class Playground(App[None]):
    """An app with that screen."""

    CSS_PATH = STYLES
    CSS = "#chat { height: 1fr; }"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the app's variables."""
        return variable_defaults(self.current_theme.dark)

    def get_default_screen(self) -> Screen[None]:
        """Return the screen with the strip."""
        return Chat()


async def show(app: Playground, pilot: Pilot[None], snapshot: Snapshot) -> PanelStrip:
    """Publish a snapshot and wait until every panel, the plot included, shows it."""
    screen = await until_screen(pilot, Chat)
    await wait_until(pilot, lambda: bool(screen.query("RatePlot")) and is_composed(screen))
    screen.snapshots.publish(snapshot)
    await wait_until(pilot, lambda: all(panel.snapshot is snapshot for panel in screen.query(Panel)))
    return screen.query_one(PanelStrip)


def show_in_panels(strip: PanelStrip, snapshot: Snapshot) -> None:
    """Show a snapshot without the minimum interval of the signal."""
    for panel in strip.query(Panel):
        panel.show(snapshot)


@pytest.mark.parametrize(
    ("size", "height", "columns"),
    [
        ((80, 24), 3, 2),
        ((80, 50), 3, 2),
        ((120, 24), 3, 2),
        ((200, 24), 3, 2),
        ((120, 36), 15, 3),
        ((160, 48), 17, 3),
        ((200, 60), 22, 3),
    ],
)
async def test_the_layout_follows_the_terminal(size: tuple[int, int], height: int, columns: int) -> None:
    app = Playground()
    async with app.run_test(size=size) as pilot:
        strip = await show(app, pilot, GPU)
        assert strip.size.height == height
        assert len({panel.region.x for panel in strip.query(Panel) if panel.display}) == columns
        assert app.screen.query_one("#chat").size.height == size[1] - height


async def test_three_lines_show_every_panel() -> None:
    app = Playground()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(app, pilot, FULL)
        rows = screen_text(app).split("\n")[-3:]
        assert rows[0][1:].startswith("tok/s L ")
        assert rows[1].startswith(" KV L ▒")
        assert "answer  No answer yet" in rows[1]
        assert rows[2].startswith(" memory  L 960 MiB")
        assert "CPU 87 %" in rows[2]


async def test_the_layout_follows_a_resize() -> None:
    app = Playground()
    async with app.run_test(size=(200, 60)) as pilot:
        strip = await show(app, pilot, FULL)
        for size, height in (((80, 24), 3), ((120, 36), 15), ((200, 60), 22), ((20, 6), 3)):
            await pilot.resize_terminal(*size)
            await wait_until(pilot, lambda size=size: app.screen.size == size)  # type: ignore[misc]
            assert strip.size.height == height


async def test_the_strip_can_be_hidden() -> None:
    app = Playground()
    async with app.run_test(size=(120, 36)) as pilot:
        strip = await show(app, pilot, FULL)
        strip.shown = not strip.shown
        await wait_until(pilot, lambda: app.screen.query_one("#chat").size.height == 36)
        plot = strip.query_one("RatePlot", RatePlot)
        drawn = plot.shown
        faster = replace(GPU, left=replace(GPU.left, curve=curve(190, 143)))
        show_in_panels(strip, faster)
        assert plot.shown is drawn, "a hidden plot must not draw"
        strip.shown = not strip.shown
        await wait_until(pilot, lambda: strip.size.height == 15 and plot.shown is not drawn)
        assert all(panel.snapshot is faster for panel in strip.query(Panel))
        drawn = plot.shown
        show_in_panels(strip, replace(faster, now=faster.now + 0.01))
        assert plot.shown is drawn, "no token has come"


def test_the_style_sheet_has_no_universal_selector() -> None:
    rules = STYLES.read_text(encoding="utf-8").split("*/", 1)[1].replace("/*", "").replace("*/", "")
    assert "*" not in rules


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_a_focused_panel_can_fill_the_screen(size: tuple[int, int]) -> None:
    """F7 and Esc bring the other panels back."""
    app = Playground()
    async with app.run_test(size=size) as pilot:
        strip = await show(app, pilot, FULL)
        for panel, back in product(strip.query(Panel), ("f7", "escape")):
            before = panel.size
            panel.focus()
            await pilot.press("f7")
            await pilot.pause()
            assert panel.outer_size == size
            await pilot.press(back)
            await pilot.pause()
            assert panel.size == before
            assert app.focused is panel


@pytest.mark.parametrize("size", [(120, 36), (200, 60)])
async def test_folded_panels_shrink_the_strip(size: tuple[int, int]) -> None:
    """Space or a click on the title folds a panel; a row of folded panels is one line high."""
    app = Playground()
    async with app.run_test(size=size) as pilot:
        strip = await show(app, pilot, FULL)
        high = strip.size.height
        for panel in list(strip.query(Panel))[:2]:
            panel.focus()
            await pilot.press("space")
        await pilot.click(list(strip.query(Panel))[2], offset=(5, 0))
        await pilot.pause()
        assert strip.folded == ("Decode tok/s", "KV cache", "Answer")
        assert strip.size.height < high - 5
        assert "p50" not in screen_text(app)
        strip.fold(())
        await wait_until(pilot, lambda: strip.size.height == high)
