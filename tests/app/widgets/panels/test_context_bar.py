"""The KV cache on the scale of the context window, by turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.conversation.context_map import ContextMap
from app.state.side.snapshot import Snapshot
from app.widgets.panels.context_bar import context_bar, context_figures, context_text, turn_figures
from app.widgets.panels.kv_blocks import KVBlocksPanel
from tests.app.widgets.samples import FULL, OnePanel, screen_text

MAP = ContextMap(2048, (256, 512, 128), 0, 256)
WINDOWS = replace(
    FULL, left=replace(FULL.left, context=MAP), right=replace(FULL.right, context=ContextMap(1024, (100,)))
)


def bar(shown: ContextMap, width: int = 64, scale: int = 0, *, trims: bool = True) -> str:
    return context_bar(shown, width, scale or shown.context, trims=trims).plain


def test_turns_are_to_scale_with_marks_for_the_next_one_and_for_trimming() -> None:
    """A cell is 32 tokens: 8 cells of the first turn, reused, 16 of the second, 4 of the third."""
    assert bar(MAP) == "▒" * 8 + "▓" * 16 + "█" * 4 + "▸" + "·" * 27 + "┊" + "·" * 7
    assert "┊" not in bar(MAP, trims=False)


def test_turns_keep_their_glyph_when_older_ones_are_dropped() -> None:
    assert bar(replace(MAP, turns=(512, 128), left_out=1, reused=0)).startswith("▓" * 16 + "█" * 4)


def test_both_sides_have_one_scale() -> None:
    assert len(bar(ContextMap(1024, (100,)), 64, 2048)) == 32


@pytest.mark.parametrize("width", [1, 2, 7, 40, 200])
@pytest.mark.parametrize("turns", [(), (2048,), (1, 1, 1), (1900, 100), (5000,), (0, 0)])
def test_every_width_and_filling_is_drawn(turns: tuple[int, ...], width: int) -> None:
    shown = bar(ContextMap(2048, turns, 0, 3), width)
    assert len(shown) == width
    assert ("▸" in shown) == (sum(turns) * width <= 2048 * (width - 0.5))


def test_the_figures_name_what_the_marks_mean() -> None:
    assert context_text(MAP) == "896 of 2,048 tokens 44 %"
    figures = [piece.plain for piece in context_figures(replace(MAP, left_out=2), trims=True)]
    assert figures == ["3 turns", "2 dropped", "256 reused", "┊ trim at 1,792"]
    assert context_figures(MAP, trims=False)[-1].plain == "refused when full"
    assert (
        turn_figures(replace(MAP, left_out=2), 60).plain == "tokens of  turn 5: 128  turn 4: 512  turn 3: 256"
    )


@pytest.mark.parametrize(("width", "height"), [(35, 6), (49, 8), (62, 11), (196, 40), (20, 3), (8, 2)])
@pytest.mark.parametrize("snapshot", [WINDOWS, replace(WINDOWS, right=FULL.right)])
def test_the_panel_fits(snapshot: Snapshot, width: int, height: int) -> None:
    text = KVBlocksPanel().draw(snapshot, width, height).plain
    assert len(text.splitlines()) <= height
    if width >= 35:
        assert max(map(len, text.splitlines())) <= width
        assert "▸" in text.splitlines()[1]
    assert KVBlocksPanel().draw_folded(snapshot, width, 1).cell_length <= max(width, 30)


async def test_a_key_shows_blocks_and_full_screen_shows_both() -> None:
    panel = KVBlocksPanel()
    app = OnePanel(panel)
    async with app.run_test(size=(66, 10)) as pilot:
        panel.show(WINDOWS)
        panel.focus()
        await pilot.pause()
        assert "896 of 2,048 tokens" in screen_text(app)
        assert "blocks" not in screen_text(app)
        await pilot.press("b")
        await pilot.pause()
        assert "37 of 128 blocks" in screen_text(app)
        assert "▸" not in screen_text(app)
        assert "free" in str(panel.border_subtitle)
        await pilot.press("b")
        await pilot.resize_terminal(100, 40)
        await pilot.pause()
        assert "896 of 2,048 tokens" in screen_text(app)
        assert "turn 3: 128" in screen_text(app)
        assert "37 of 128 blocks" in screen_text(app)
