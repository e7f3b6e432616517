"""Whose memory is what: parts as the library reports them, and nothing blamed on others that may be ours."""

from __future__ import annotations

from dataclasses import replace

from app.state.series import SideSnapshot
from app.widgets.memory import MemoryPanel, device_rows, parts_line, side_parts, side_total
from engines.worker.protocol import MemoryUsage
from tests.app.widgets.samples import EMPTY, FULL, GIB, GPU, H200, HUGE, LEFT, MIB, OnePanel, screen_text


def amounts(side: SideSnapshot) -> list[float]:
    """Weights, KV and other."""
    return [part.amount for part in side_parts(side)]


def test_what_the_library_does_not_account_for_is_other() -> None:
    assert amounts(LEFT) == [320 * MIB, 64 * MIB, 576 * MIB]


def test_parts_may_be_more_than_what_is_resident() -> None:
    mapped = SideSnapshot("mapped", process_bytes=100 * MIB, memory=MemoryUsage(300 * MIB, None, 5 * MIB))
    assert amounts(mapped) == [300 * MIB, 0, 5 * MIB]


def test_a_side_is_where_its_engine_is() -> None:
    assert side_total(LEFT) == 960 * MIB
    assert side_total(GPU.left) == 48 * GIB
    assert side_total(SideSnapshot("no process", memory=MemoryUsage(1, 2, 3))) == 6
    assert side_total(SideSnapshot("nothing")) == 0


def test_without_parts_the_process_alone_is_shown() -> None:
    side = SideSnapshot("plain", process_bytes=GIB)
    assert amounts(side) == [0, 0, GIB]
    assert "the library reports no parts" in parts_line(side, 60).plain
    assert "nothing measured" in parts_line(SideSnapshot("plain"), 60).plain


def test_all_parts_keep_their_figures_where_their_names_do_not_fit() -> None:
    assert parts_line(LEFT, 60).plain == "  █ weights 320 MiB  ▓ KV 64.0 MiB  ▒ other 576 MiB"
    assert parts_line(LEFT, 40).plain == "  █ 320 MiB  ▓ 64.0 MiB  ▒ 576 MiB"


def test_the_machine_s_memory_is_divided() -> None:
    (row,) = device_rows(FULL)
    left, right, programs = row.parts
    assert (left.amount, right.amount) == (960 * MIB, 1440 * MIB)
    assert left.amount + right.amount + programs.amount == 6 * GIB
    assert (row.figures, row.share) == ("6.00 of 16.0 GiB", "38%")


def test_a_gpu_s_memory_is_divided_where_the_driver_tells() -> None:
    assert [part.amount for part in device_rows(GPU)[1].parts] == [48 * GIB, 0, 14 * GIB]


def test_memory_that_cannot_be_placed_is_not_blamed_on_other_programs() -> None:
    two = replace(GPU, gpus=(H200, replace(H200, index=1)))
    nameless = replace(GPU, left=LEFT)
    for snapshot in (two, nameless):
        for row in device_rows(snapshot)[1:]:
            assert [(part.amount, part.style) for part in row.parts] == [(62 * GIB, "$foreground-muted")]
    (part,) = device_rows(replace(EMPTY, gpus=(H200,)))[0].parts[2:]
    assert (part.amount, part.style) == (62 * GIB, "$memory-programs")


def test_devices_that_do_not_fit_are_counted() -> None:
    rows = MemoryPanel().draw(HUGE, 60, 9).split("\n")
    assert len(rows) == 9
    assert rows[-1].plain == "and 11 more"


def test_one_line_holds_the_totals() -> None:
    line = MemoryPanel().draw_folded(FULL, 78, 1).plain
    assert line.startswith("memory  L 960 MiB  R 1.41 GiB  machine 6.00 of 16.0 GiB 38%")
    assert "░" in line
    assert MemoryPanel().draw_folded(FULL, 20, 1).plain == "memory  L 960 MiB"


async def test_the_panel_shows_bars_and_figures() -> None:
    app = OnePanel(MemoryPanel())
    async with app.run_test(size=(80, 12)) as pilot:
        app.panel.show(GPU)
        await pilot.pause(0.1)
        text = screen_text(app)
        for expected in ("48.0 GiB", "weights 8.00 GiB", "KV 36.0 GiB", "62.0 of 140 GiB 44%", "LLLL"):
            assert expected in text
