"""The Memory panel: parts by library and driver, other processes, and the difference from the estimate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.state.prepare.forecast import estimate_of
from app.state.side.snapshot import SideSnapshot
from app.widgets.panels.memory_panel import MemoryPanel, device_rows
from app.widgets.panels.memory_parts import difference, estimate_table, estimate_text, parts_line, side_parts
from engines.build.spec import EngineSpec
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.worker.protocol import MemoryUsage
from tests.app.widgets.samples import (
    CONTIGUOUS,
    EMPTY,
    FULL,
    GIB,
    GPU,
    H200,
    HUGE,
    LEFT,
    MIB,
    OnePanel,
    screen_text,
)


def amounts(side: SideSnapshot) -> list[float]:
    """Return the bytes of weights, KV and other."""
    return [named.part.amount for named in side_parts(side)]


def test_memory_unknown_to_the_library_is_other() -> None:
    assert amounts(LEFT) == [320 * MIB, 64 * MIB, 576 * MIB]


def test_parts_may_exceed_resident_memory() -> None:
    mapped = SideSnapshot("mapped", process_bytes=100 * MIB, memory=MemoryUsage(300 * MIB, None, 5 * MIB))
    assert amounts(mapped) == [300 * MIB, 0, 5 * MIB]


def test_held_memory_is_that_of_the_engine_s_device() -> None:
    assert LEFT.held == 960 * MIB
    assert GPU.left.held == 48 * GIB
    assert SideSnapshot("no process", memory=MemoryUsage(1, 2, 3)).held == 6
    assert SideSnapshot("nothing").held == 0


def test_without_a_breakdown_only_the_process_is_shown() -> None:
    side = SideSnapshot("plain", process_bytes=GIB)
    assert amounts(side) == [0, 0, GIB]
    assert "no breakdown available" in parts_line(side, 60).plain
    assert "nothing measured" in parts_line(SideSnapshot("plain"), 60).plain


def test_names_of_parts_are_dropped_before_figures() -> None:
    assert parts_line(LEFT, 60).plain == "  █ weights 320 MiB  ▓ KV 64.0 MiB  ▒ other 576 MiB"
    assert parts_line(LEFT, 40).plain == "  █ 320 MiB  ▓ 64.0 MiB  ▒ 576 MiB"


def test_the_machine_s_memory_is_split_by_owner() -> None:
    (row,) = device_rows(FULL)
    left, right, others = row.parts
    assert (left.amount, right.amount) == (960 * MIB, 1440 * MIB)
    assert left.amount + right.amount + others.amount == 6 * GIB
    assert (row.figures, row.share) == ("6.00 of 16.0 GiB", "38 %")


def test_a_gpu_s_memory_is_split_by_owner() -> None:
    assert [part.amount for part in device_rows(GPU)[0].parts] == [48 * GIB, 0, 14 * GIB]


def test_gpu_memory_beyond_the_allocator_is_the_cuda_context() -> None:
    parts = [(named.name, named.part.amount) for named in side_parts(GPU.left)]
    assert parts == [("weights", 8 * GIB), ("KV", 36 * GIB), ("workspace", GIB), ("context", 3 * GIB)]


def test_without_process_names_only_the_library_s_count_is_the_engine_s() -> None:
    """In a container the rest may be CUDA contexts of the engines, so it is not shown as other processes."""
    nameless = replace(GPU, left=replace(GPU.left, gpu_bytes=None))
    assert nameless.left.held == 45 * GIB
    assert amounts(nameless.left)[-1] == 0
    left, _, rest = device_rows(nameless)[0].parts
    assert (left.amount, rest.amount, rest.style) == (45 * GIB, 17 * GIB, "$foreground-muted")


def test_an_engine_is_not_counted_on_another_gpu() -> None:
    two = replace(GPU, gpus=(H200, replace(H200, index=1, device="cuda:1")))
    first, second = (row.parts for row in device_rows(two)[:2])
    assert [part.amount for part in first] == [48 * GIB, 0, 14 * GIB]
    assert [part.amount for part in second] == [0, 0, 62 * GIB]


def test_an_engine_on_two_gpus_is_counted_on_each() -> None:
    left = replace(GPU.left, bytes_by_gpu={0: 20 * GIB, 1: 28 * GIB})
    two = replace(GPU, left=left, gpus=(H200, replace(H200, index=1, device="cuda:1")))
    assert [row.parts[0].amount for row in device_rows(two)[:2]] == [20 * GIB, 28 * GIB]


def test_without_an_engine_all_gpu_memory_is_other_processes() -> None:
    (part,) = device_rows(replace(EMPTY, gpus=(H200,)))[0].parts[2:]
    assert (part.amount, part.style) == (62 * GIB, "$memory-other-processes")


def expected(tiny: Path, side: SideSnapshot, device: str = "cpu") -> SideSnapshot:
    """Return the side with the estimate of a real, tiny checkpoint."""
    spec = EngineSpec(str(tiny), "pytorch", "fp32", device)
    return replace(side, estimate=estimate_of(spec, read_checkpoint(tiny)))


def test_the_estimate_is_compared_with_measured_memory(tiny: Path) -> None:
    side = expected(tiny, LEFT)
    assert side.estimate
    total, kv = side.estimate.loaded, side.estimate.kv
    same = replace(side, memory=MemoryUsage(side.estimate.weights, kv), process_bytes=total)
    assert estimate_text(same) == "as estimated"
    assert estimate_text(replace(same, process_bytes=total * 5 // 4)) == "25 % more than estimated"
    growing = replace(same, memory=MemoryUsage(side.estimate.weights, 0), kv=CONTIGUOUS)
    assert estimate_text(replace(growing, process_bytes=total - kv)) == "as estimated"
    table = [row.plain for row in estimate_table("L", "$left", side)]
    assert [row.split()[0] for row in table[1:]] == ["weights", "KV", "other", "total"]
    assert "320 MiB" in table[1]
    assert estimate_table("L", "$left", LEFT) == []


def test_parts_unknown_to_the_driver_are_not_compared(tiny: Path) -> None:
    """Without a measured total, the known parts are compared."""
    side = expected(tiny, replace(GPU.left, gpu_bytes=None), "cuda:0")
    assert estimate_text(side).startswith("weights and KV ")
    rows = [row.plain for row in estimate_table("L", "$left", side)]
    assert any("without the CUDA context" in row for row in rows)
    assert any("does not name its process" in row for row in rows)
    assert any("peak" in row and "50.0 GiB" in row for row in rows)


def test_differences_are_relative_to_the_estimate() -> None:
    assert difference(100, 108) == "8 % more"
    assert difference(100, 97, " than estimated") == "3 % less than estimated"
    assert difference(1000, 1009) == "as estimated"


def test_devices_that_do_not_fit_are_counted() -> None:
    rows = MemoryPanel().draw(HUGE, 60, 9).split("\n")
    assert len(rows) == 9
    assert rows[-1].plain == "and 13 more"


def test_the_folded_line_shows_the_totals() -> None:
    line = MemoryPanel().draw_folded(FULL, 78, 1).plain
    assert line.startswith("memory  L 960 MiB  R 1.41 GiB  machine 6.00 of 16.0 GiB 38 %")
    assert "░" in line
    assert MemoryPanel().draw_folded(FULL, 20, 1).plain == "memory  L 960 MiB"


async def test_the_panel_shows_bars_and_figures() -> None:
    app = OnePanel(MemoryPanel())
    async with app.run_test(size=(90, 12)) as pilot:
        app.panel.show(GPU)
        await pilot.pause()
        text = screen_text(app)
        for expected in ("48.0 GiB", "weights 8.00 GiB", "KV 36.0 GiB", "62.0 of 140 GiB 44 %", "LLLL"):
            assert expected in text
