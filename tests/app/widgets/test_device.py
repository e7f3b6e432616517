"""What the driver does not report is `n/a`, and a machine without a GPU says so in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.widgets.device import NO_GPU, DevicePanel, gpu_figures
from tests.app.widgets.samples import EMPTY, FULL, GPU, H200, HUGE, NOTHING_KNOWN, OnePanel, screen_text


def test_figures_have_units() -> None:
    assert gpu_figures(H200) == ("93%", "512 W", "61 °C")
    assert gpu_figures(NOTHING_KNOWN.gpus[0]) == ("n/a", "n/a W", "n/a °C")


def test_without_a_gpu_there_is_one_short_line() -> None:
    rows = DevicePanel().draw(FULL, 40, 5).split("\n")
    assert rows[1].plain == NO_GPU
    assert len(rows) == 3
    assert "87%" in rows[0].plain


@pytest.mark.parametrize(("width", "lines"), [(60, 4), (28, 5)])
def test_a_gpu_has_a_bar_and_its_name(width: int, lines: int) -> None:
    rows = [row.plain for row in DevicePanel().draw(GPU, width, 8).split("\n")]
    assert len(rows) == lines
    assert "93%" in rows[1]
    assert any("512 W" in row for row in rows)
    assert any("NVIDIA H200" in row for row in rows)


def test_gpus_that_do_not_fit_are_counted() -> None:
    rows = DevicePanel().draw(HUGE, 60, 6).split("\n")
    assert len(rows) == 6
    assert rows[-1].plain == "and 12 more GPUs"


def test_one_line_holds_cpu_and_gpus() -> None:
    panel = DevicePanel()
    assert panel.draw_folded(FULL, 40, 1).plain == f"CPU 87%  {NO_GPU}"
    assert panel.draw_folded(GPU, 40, 1).plain == "CPU 87%  GPU 0 93% 512 W 61 °C"
    assert panel.draw_folded(replace(EMPTY, cpu_percent=None), 8, 1).plain == "CPU n/a"


async def test_the_panel_shows_the_machine_without_any_engine() -> None:
    app = OnePanel(DevicePanel())
    async with app.run_test(size=(60, 6)) as pilot:
        app.panel.show(replace(EMPTY, cpu_percent=12.0, memory_total=16 << 30, memory_used=4 << 30))
        await pilot.pause(0.1)
        text = screen_text(app)
        assert "12%" in text
        assert "4.00 of 16.0 GiB" in text
        assert NO_GPU in text
