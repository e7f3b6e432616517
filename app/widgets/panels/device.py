"""Utilisation of CPU and memory; utilisation, power, temperature and clocks of each GPU."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content

from app.state.side.snapshot import Snapshot
from app.units import MISSING, bytes_of_text, percent_text
from app.widgets.panels.drawing import MUTED, BarPart, fit_pieces, flow, lines, one_line, stacked_bar
from app.widgets.panels.panel import Panel
from engines.measure.gpu import GpuSample

NO_GPU = "No NVIDIA GPU found"
MIG_INSTANCE = "MIG: power, temperature and clocks are reported for the whole GPU only"
NAME_CELLS = 7
SHARE_CELLS = 5
DETAIL_CELLS = 18
"""Width of `21.3 of 64.0 GiB` or `512/700 W  61 °C`."""
WIDE = 36
"""From this width on the details are shown to the right of the bar."""
INDENT_WIDTH = 44
"""From this width on the lines below a bar are indented to its start."""
WARNING = "$text-warning"


class DevicePanel(Panel):
    """Utilisation of CPU, memory and GPUs."""

    TITLE: ClassVar[str] = "Device"
    LEGEND: ClassVar[str] = "whole machine"
    SUMMARY: ClassVar[str] = (
        "Utilisation of CPU and memory; utilisation, power, temperature and clocks of each GPU."
    )
    HELP = """\
### Device

**CPU** is the utilisation of all cores, by all processes. **Memory** is the machine's memory used by all
processes.

For each NVIDIA GPU, those used by engines first: **utilisation** (the share of time in which a kernel ran,
not how much of the GPU it used), **power** and its limit, **temperature**, and the **clocks** of its
multiprocessors (SM) and memory out of their maximum. *Slowed by* names why the clocks are reduced: power
limit, heat, power supply, or clocks set by a user. An idle GPU has low clocks too, and is not slowed.
`n/a`: the driver does not report it.
"""

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw a line for the CPU, the GPUs, and a line for memory, whose details are in the Memory panel."""
        cpu = _bar_row("CPU", snapshot.cpu_percent, "", width)
        memory = _bar_row("memory", _memory_percent(snapshot), _memory_text(snapshot), width)
        if not snapshot.gpus:
            return lines([cpu, Content.styled(NO_GPU, MUTED), memory][:height], height)
        return lines([cpu, *_gpus(in_use_first(snapshot), width, max(1, height - 2)), memory], height)

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw CPU and GPUs; the folded Memory panel shows memory."""
        pieces = [Content.assemble(("CPU ", "bold"), percent_text(snapshot.cpu_percent))]
        for gpu in in_use_first(snapshot):
            pieces.append(Content.assemble((f"GPU {gpu.index} ", "bold"), " ".join(gpu_figures(gpu))))
            pieces += [Content.styled(slowed(gpu), WARNING)] if gpu.slowed_by else []
        return fit_pieces(pieces if snapshot.gpus else [*pieces, Content.styled(NO_GPU, MUTED)], width)


def in_use_first(snapshot: Snapshot) -> list[GpuSample]:
    """Return the GPUs used by engines, then the others, each in the driver's order."""
    used = {name for side in (snapshot.left, snapshot.right) for name in (side.device, *side.others)} - {""}
    return sorted(snapshot.gpus, key=lambda gpu: gpu.device not in used)


def slowed(gpu: GpuSample) -> str:
    """Return `slowed by power limit and heat`; empty if it is not slowed or the driver does not report it."""
    return f"slowed by {' and '.join(gpu.slowed_by)}" if gpu.slowed_by else ""


def gpu_figures(gpu: GpuSample) -> tuple[str, str, str]:
    """Return utilisation, power and temperature."""
    power = of_text(gpu.power, gpu.power_limit, "/")
    return percent_text(gpu.utilisation), f"{power} W", f"{_rounded(gpu.temperature)} °C"


def of_text(value: float | None, maximum: float | None, between: str = " of ") -> str:
    """Return `1,755 of 1,980`, or the value alone if the maximum is None."""
    return _rounded(value) if maximum is None else f"{_rounded(value)}{between}{_rounded(maximum)}"


def _bar_row(name: str, percent: float | None, detail: str, width: int, style: str = "$primary") -> Content:
    """Return name, bar, percentage and, in wide panels, the detail."""
    share, wide = percent_text(percent), width >= WIDE
    room = width - NAME_CELLS - max(SHARE_CELLS, len(share) + 1) - (DETAIL_CELLS if wide else 0)
    if room < 4:
        return fit_pieces((Content(name), Content(share)), width)
    bar = stacked_bar((BarPart(percent or 0.0, "█", style),), 100.0, room)
    text = f"  {detail}" if wide and detail else ""
    return Content.assemble(f"{name:<{NAME_CELLS}}", bar, f"{share:>{SHARE_CELLS}}", text)


def _gpus(gpus: list[GpuSample], width: int, room: int) -> list[Content]:
    """Return the first GPU with its details in the spare lines, and one line for each other."""
    if len(gpus) > room:
        shown, more = gpus[: room - 1], len(gpus) - room + 1
        rest = Content.styled(f"and {more} more GPU{'s' if more > 1 else ''}", MUTED)
        return [*(_gpu_bar(gpu, width) for gpu in shown), rest]
    first, *others = gpus
    below = _details(first, width)[: room - len(gpus)]
    return [_gpu_bar(first, width), *below, *(_gpu_bar(gpu, width) for gpu in others)]


def _gpu_bar(gpu: GpuSample, width: int) -> Content:
    detail = "  ".join(gpu_figures(gpu)[1:])
    return _bar_row(
        f"GPU {gpu.index}", gpu.utilisation, detail, width, WARNING if gpu.slowed_by else "$primary"
    )


def _details(gpu: GpuSample, width: int) -> list[Content]:
    """Return the lines below a GPU's bar: why it is slowed, figures, and its name."""
    indent = " " * (NAME_CELLS if width >= INDENT_WIDTH else 2)
    warnings = [one_line(slowed(gpu), width - len(indent))] if gpu.slowed_by else []
    pieces = [] if width >= WIDE else list(gpu_figures(gpu)[1:])
    if gpu.sm_clock is not None:
        pieces.append(f"SM {of_text(gpu.sm_clock, gpu.sm_clock_most)} MHz")
    if gpu.memory_clock is not None:
        pieces.append(f"memory {of_text(gpu.memory_clock, gpu.memory_clock_most)} MHz")
    if gpu.is_instance and gpu.power is None:
        pieces = [MIG_INSTANCE]
    name = one_line(gpu.name, width - len(indent))
    below = flow([one_line(piece, width - len(indent)) for piece in [*pieces, name]], width - len(indent))
    return [
        *(Content.assemble(indent, (line, WARNING)) for line in warnings),
        *(Content(indent + line) for line in below.split("\n") if line),
    ]


def _memory_percent(snapshot: Snapshot) -> float | None:
    return 100 * snapshot.memory_used / snapshot.memory_total if snapshot.memory_total > 0 else None


def _memory_text(snapshot: Snapshot) -> str:
    return bytes_of_text(snapshot.memory_used, snapshot.memory_total) if snapshot.memory_total > 0 else ""


def _rounded(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.0f}"
