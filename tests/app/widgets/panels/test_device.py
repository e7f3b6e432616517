"""The Device panel, with and without GPUs; unreported figures are `n/a`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.widgets.panels.device import MIG_INSTANCE, NO_GPU, DevicePanel, gpu_figures
from engines.measure.gpu import GpuSample
from tests.app.widgets.samples import EMPTY, FULL, GPU, H200, HUGE, NOTHING_KNOWN, OnePanel, screen_text


def test_figures_have_units() -> None:
    assert gpu_figures(H200) == ("93 %", "512/700 W", "61 °C")
    assert gpu_figures(replace(H200, power_limit=None))[1] == "512 W"
    assert gpu_figures(NOTHING_KNOWN.gpus[0]) == ("n/a", "n/a W", "n/a °C")


def test_a_missing_gpu_takes_one_line() -> None:
    rows = DevicePanel().draw(FULL, 40, 5).split("\n")
    assert rows[1].plain == NO_GPU
    assert len(rows) == 3
    assert "87 %" in rows[0].plain


@pytest.mark.parametrize("width", [36, 60, 100])
def test_a_gpu_has_a_bar_figures_and_its_name(width: int) -> None:
    rows = [row.plain for row in DevicePanel().draw(GPU, width, 8).split("\n")]
    assert "93 %" in rows[1]
    text = "\n".join(rows)
    for expected in (
        "512/700 W",
        "61 °C",
        "SM 1,755 of 1,980 MHz",
        "memory 3,201 of 3,201 MHz",
        "NVIDIA H200",
    ):
        assert expected in text
    assert "slowed" not in text


def test_the_reason_for_low_clocks_comes_before_the_clocks() -> None:
    hot = replace(GPU, gpus=(replace(H200, slowed_by=("power limit", "heat")),))
    rows = [row.plain.strip() for row in DevicePanel().draw(hot, 36, 4).split("\n")]
    assert rows[2] == "slowed by power limit and heat"
    assert "slowed by power limit and heat" in DevicePanel().draw_folded(hot, 80, 1).plain


def test_the_gpu_in_use_comes_first_and_the_others_have_a_line_each() -> None:
    other = replace(H200, device="cuda:1", utilisation=3.0)
    three = replace(GPU, gpus=(other, replace(other, index=1, device=""), replace(H200, index=2)))
    rows = [row.plain for row in DevicePanel().draw(three, 60, 9).split("\n")]
    assert [row[:5] for row in rows if row.startswith("GPU")] == ["GPU 2", "GPU 0", "GPU 1"]
    assert "SM 1,755" in rows[2]
    assert sum("SM" in row for row in rows) == 1


def test_a_mig_instance_explains_missing_figures() -> None:
    part = (
        replace(EMPTY.left, title="PyTorch bf16", device="cuda:0"),
        GpuSample(0, "NVIDIA H200 MIG 1g.18gb", "MIG-a", "cuda:0", 1 << 30, 18 << 30),
    )
    text = DevicePanel().draw(replace(EMPTY, left=part[0], gpus=(part[1],)), 80, 8).plain
    assert MIG_INSTANCE in text
    assert "MIG 1g.18gb" in text


def test_gpus_that_do_not_fit_are_counted() -> None:
    rows = DevicePanel().draw(HUGE, 60, 6).split("\n")
    assert len(rows) == 6
    assert rows[-2].plain == "and 13 more GPUs"


def test_the_folded_line_shows_cpu_and_gpus() -> None:
    panel = DevicePanel()
    assert panel.draw_folded(FULL, 40, 1).plain == f"CPU 87 %  {NO_GPU}"
    assert panel.draw_folded(GPU, 40, 1).plain == "CPU 87 %  GPU 0 93 % 512/700 W 61 °C"
    assert panel.draw_folded(replace(EMPTY, cpu_percent=None), 8, 1).plain == "CPU n/a"


async def test_the_panel_shows_the_machine_without_an_engine() -> None:
    app = OnePanel(DevicePanel())
    async with app.run_test(size=(60, 6)) as pilot:
        app.panel.show(replace(EMPTY, cpu_percent=12.0, memory_total=16 << 30, memory_used=4 << 30))
        await pilot.pause()
        text = screen_text(app)
        assert "12 %" in text
        assert "4.00 of 16.0 GiB" in text
        assert NO_GPU in text
