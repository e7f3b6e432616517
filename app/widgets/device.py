"""How busy the machine is: CPU, memory, and each GPU's use, power and temperature."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content

from app.state.series import Snapshot
from app.units import bytes_of_text, percent_text
from app.widgets.drawing import MUTED, Part, fit_pieces, lines, one_line, stacked_bar
from app.widgets.panel import Panel
from engines.measure.gpu import GpuSample

NO_GPU = "No NVIDIA GPU found"
NAME_CELLS = 7
SHARE_CELLS = 5
DETAIL_CELLS = 18
"""Room for `21.3 of 64.0 GiB`, or for `512 W  61 °C`."""
WIDE = 44
"""From this width on the details stand right of the bar."""


class DevicePanel(Panel):
    """Use of the CPU, of the memory and of the GPUs."""

    TITLE: ClassVar[str] = "Device"
    LEGEND: ClassVar[str] = "all programs"
    SUMMARY: ClassVar[str] = (
        "Use of the CPU and of the machine's memory; use, power and temperature of each GPU."
    )
    HELP = """\
### Device

**CPU** is the use of all cores together, by all programs. **Memory** is what all programs hold of the
machine's.

For each NVIDIA GPU: **utilisation** (the share of time in which a kernel ran, not how much of the GPU it
used), **power** and **temperature**. `n/a` is what the driver does not report.
"""

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """A line for the CPU, the GPUs, and a line for the memory, which has a panel of its own besides."""
        rows = [_bar_row("CPU", snapshot.cpu_percent, "", width)]
        memory = _bar_row("memory", _memory_percent(snapshot), _memory_text(snapshot), width)
        if not snapshot.gpus:
            return lines([*rows, Content.styled(NO_GPU, MUTED), memory][:height], height)
        each = next((n for n in (3, 2, 1) if n * len(snapshot.gpus) + 2 <= height), 1)
        gpus = [row for gpu in snapshot.gpus for row in _gpu_rows(gpu, width, each)]
        if len(rows) + len(gpus) > height:
            room = max(0, height - 2)
            gpus = [*gpus[:room], Content.styled(f"and {len(gpus) - room} more GPUs", MUTED)]
        return lines([*rows, *gpus, memory], height)

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """CPU, then the GPUs; memory has a line of its own elsewhere."""
        pieces = [Content.assemble(("CPU ", "bold"), percent_text(snapshot.cpu_percent))]
        pieces += [
            Content.assemble((f"GPU {gpu.index} ", "bold"), " ".join(gpu_figures(gpu)))
            for gpu in snapshot.gpus
        ]
        return fit_pieces(pieces if snapshot.gpus else [*pieces, Content.styled(NO_GPU, MUTED)], width)


def _memory_percent(snapshot: Snapshot) -> float | None:
    return 100 * snapshot.memory_used / snapshot.memory_total if snapshot.memory_total > 0 else None


def _memory_text(snapshot: Snapshot) -> str:
    return bytes_of_text(snapshot.memory_used, snapshot.memory_total) if snapshot.memory_total > 0 else ""


def _bar_row(name: str, percent: float | None, detail: str, width: int) -> Content:
    """Name, bar, per cent, and the detail where the panel is wide."""
    share, wide = percent_text(percent), width >= WIDE
    room = width - NAME_CELLS - max(SHARE_CELLS, len(share) + 1) - (DETAIL_CELLS if wide else 0)
    if room < 4:
        return fit_pieces((Content(name), Content(share)), width)
    bar = stacked_bar((Part(percent or 0.0, "█", "$primary"),), 100.0, room)
    text = f"  {detail}" if wide and detail else ""
    return Content.assemble(f"{name:<{NAME_CELLS}}", bar, f"{share:>{SHARE_CELLS}}", text)


def _gpu_rows(gpu: GpuSample, width: int, count: int) -> list[Content]:
    """The bar; with two lines its details too, with three its name."""
    detail = "  ".join(gpu_figures(gpu)[1:])
    bar = _bar_row(f"GPU {gpu.index}", gpu.utilisation, detail, width)
    name = Content(" " * NAME_CELLS + one_line(gpu.name, width - NAME_CELLS))
    below = Content(" " * NAME_CELLS + one_line(detail, width - NAME_CELLS))
    rows = [bar, name] if width >= WIDE else [bar, below, name]
    return rows[:count]


def gpu_figures(gpu: GpuSample) -> tuple[str, str, str]:
    """Use, power and temperature."""
    return percent_text(gpu.utilisation), f"{_whole(gpu.power)} W", f"{_whole(gpu.temperature)} °C"


def _whole(figure: float | None) -> str:
    return "n/a" if figure is None else f"{figure:.0f}"
