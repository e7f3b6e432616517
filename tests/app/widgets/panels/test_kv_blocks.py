"""The block map shows exact counts, from 8 to 8,000 blocks; contiguous caches have a bar instead."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from app.state.side.snapshot import SideSnapshot, Snapshot
from app.widgets.panels.block_map import Blocks, block_map, blocks_of
from app.widgets.panels.kv_blocks import CONTIGUOUS, KVBlocksPanel, bytes_scale
from engines.worker.protocol import KVUsage
from tests.app.widgets.samples import EMPTY, FULL, MIB, NOW, PAGED, RIGHT, OnePanel, screen_text


def cells(blocks: Blocks, width: int, height: int) -> tuple[Counter[str], int]:
    """Return the count of each glyph in the map, and the blocks per cell."""
    rows, scale = block_map(blocks, width, height)
    assert len(rows) <= height
    assert all(row.cell_length <= width for row in rows)
    return Counter("".join(row.plain for row in rows)), scale


def test_a_cell_is_one_block_if_all_fit() -> None:
    assert cells(Blocks(used=5, reused=2, total=8), 40, 3) == ({"▒": 2, "█": 3, "·": 3}, 1)
    assert cells(Blocks(used=37, reused=12, total=128), 50, 3) == ({"▒": 12, "█": 25, "·": 91}, 1)


def test_a_cell_is_several_blocks_if_not_all_fit() -> None:
    counted, scale = cells(Blocks(used=2960, reused=800, total=8000), 50, 4)
    assert scale == 40
    assert counted == {"▒": 20, "█": 54, "·": 126}


@pytest.mark.parametrize("total", [8, 100, 777, 8000, 10**9])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 2), (40, 1), (50, 5)])
def test_every_state_with_blocks_has_a_cell(total: int, width: int, height: int) -> None:
    full, _ = cells(Blocks(total, 0, total), width, height)
    assert set(full) == {"█"}
    nothing, _ = cells(Blocks(0, 0, total), width, height)
    assert set(nothing) == {"·"}
    if width * height > 2:
        almost_full, _ = cells(Blocks(total - 1, 1, total), width, height)
        assert set(almost_full) == {"▒", "█", "·"}


@pytest.mark.parametrize(
    ("usage", "blocks"),
    [
        (None, None),
        (KVUsage(tokens=5), None),
        (KVUsage(total_blocks=0), None),
        (KVUsage(used_blocks=3, free_blocks=5), Blocks(3, 0, 8)),
        (KVUsage(free_blocks=5, total_blocks=8), Blocks(3, 0, 8)),
        (KVUsage(total_blocks=8), Blocks(0, 0, 8)),
        (KVUsage(used_blocks=9, total_blocks=8, reused_blocks=20), Blocks(8, 8, 8)),
        (KVUsage(used_blocks=-1, total_blocks=8, reused_blocks=-1), Blocks(0, 0, 8)),
    ],
)
def test_missing_counts_are_derived(usage: KVUsage | None, blocks: Blocks | None) -> None:
    assert blocks_of(usage) == blocks


def test_the_scale_of_a_growing_cache_is_shown() -> None:
    assert bytes_scale(FULL) == 64 * MIB
    alone = replace(FULL, left=SideSnapshot(""))
    assert bytes_scale(alone) == 32 * MIB
    assert bytes_scale(EMPTY) == 1
    text = KVBlocksPanel().draw(alone, 60, 8).plain
    assert CONTIGUOUS in text
    assert "592 tokens  22.0 MiB  grows (bar shows up to 32.0 MiB)" in text
    assert text.count("█") == round(60 * 22 / 32)


def test_a_cache_with_a_capacity_shows_used_tokens() -> None:
    static = replace(RIGHT, kv=KVUsage(tokens=512, capacity_tokens=2048, bytes_used=MIB, bytes_total=4 * MIB))
    text = KVBlocksPanel().draw(Snapshot(NOW, SideSnapshot(""), static), 60, 8).plain
    assert "512 of 2,048 tokens 25 %  1.00 of 4.00 MiB" in text
    assert text.count("█") == 15


def test_recurrent_states_are_no_tokens() -> None:
    hybrid = replace(RIGHT, kv=KVUsage(tokens=512, capacity_tokens=2048, bytes_used=MIB, state_bytes=3 * MIB))
    text = KVBlocksPanel().draw(Snapshot(NOW, SideSnapshot(""), hybrid), 80, 8).plain
    assert "512 of 2,048 tokens 25 %  1.00 MiB  + 3.00 MiB of recurrent state" in text


def test_a_side_without_a_report_says_not_reported() -> None:
    text = KVBlocksPanel().draw(Snapshot(NOW, replace(RIGHT, kv=None), SideSnapshot("")), 60, 8).plain
    assert text == "L PyTorch fp32  not reported"


def test_sides_are_stacked_or_side_by_side() -> None:
    panel = KVBlocksPanel()
    above = panel.draw(FULL, 56, 8).split("\n")
    assert above[0].plain.startswith("L OpenVINO int8  37 of 128 blocks 29 %")
    assert (
        above[1].plain
        == "592 tokens  21.0 of 64.0 MiB  12 reused  16 tokens per block"[:56].rsplit("  ", 1)[0]
    )
    assert any(row.plain.startswith(f"R PyTorch fp32  {CONTIGUOUS}") for row in above)
    side_by_side = panel.draw(FULL, 120, 8).split("\n")[0].plain
    assert side_by_side.startswith("L OpenVINO")
    assert "R PyTorch" in side_by_side


def test_the_folded_line_shows_both_sides() -> None:
    line = KVBlocksPanel().draw_folded(FULL, 48, 1).plain
    assert line.startswith("KV L ▒")
    assert "37/128 R " in line
    assert line.endswith("22.0 MiB")


async def test_the_panel_shows_its_scale() -> None:
    app = OnePanel(KVBlocksPanel())
    usage = replace(PAGED, used_blocks=2960, free_blocks=5040, total_blocks=8000, reused_blocks=800)
    async with app.run_test(size=(56, 10)) as pilot:
        app.panel.show(replace(FULL, left=replace(FULL.left, kv=usage)))
        await pilot.pause()
        text = screen_text(app)
        assert "2,960 of 8,000 blocks 37 %" in text
        assert "1 cell = 52 blocks" in text


def test_prefix_hits_are_a_share_of_all_prompt_tokens() -> None:
    """Not shown if the backend does not report prompt tokens."""
    side = replace(FULL.left, prompt_tokens=400, cached_tokens=250)
    drawn = KVBlocksPanel().draw(replace(FULL, left=side), 60, 9).plain
    assert "62 % prefix hits" in drawn or "63 % prefix hits" in drawn
    assert "prefix hits" not in KVBlocksPanel().draw(FULL, 60, 9).plain
