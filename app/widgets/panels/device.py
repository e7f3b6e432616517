"""How busy the machine is: CPU, memory, and each GPU's use, power, heat and clocks."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content

from app.state.side.snapshot import Snapshot
from app.units import MISSING, bytes_of_text, percent_text
from app.widgets.panels.drawing import MUTED, BarPart, fit_pieces, flow, lines, one_line, stacked_bar
from app.widgets.panels.panel import Panel
from engines.measure.gpu import GpuSample

NO_GPU = "No NVIDIA GPU found"
OF_WHOLE_GPU = "an instance: power, heat and clocks are known of the whole GPU only"
NAME_CELLS = 7
SHARE_CELLS = 5
DETAIL_CELLS = 18
"""Room for `21.3 of 64.0 GiB`, or for `512/700 W  61 °C`."""
WIDE, ROOMY = 36, 44
"""From these widths on the details stand right of the bar, and what is below it is indented as far as it."""
WARNING = "$text-warning"


class DevicePanel(Panel):
    """Use of the CPU, of the memory and of the GPUs."""

    TITLE: ClassVar[str] = "Device"
    LEGEND: ClassVar[str] = "all programs"
    SUMMARY: ClassVar[str] = (
        "Use of the CPU and of the machine's memory; use, power, temperature and clocks of each GPU."
    )
    HELP = """\
### Device

**CPU** is the use of all cores together, by all programs. **Memory** is what all programs hold of the
machine's.

For each NVIDIA GPU, those that engines use first: **utilisation** (the share of time in which a kernel ran,
not how much of the GPU it used), **power** against its limit, **temperature**, and the **clocks** of its
multiprocessors (SM) and of its memory against the highest they have. *Slowed by* names what holds the
clocks down: the power limit, heat, the power supply, or clocks that somebody set. A GPU that rests has low
clocks too, and is not slowed. `n/a` is what the driver does not report.
"""

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """A line for the CPU, the GPUs, and a line for the memory, which has a panel of its own besides."""
        cpu = _bar_row("CPU", snapshot.cpu_percent, "", width)
        memory = _bar_row("memory", _memory_percent(snapshot), _memory_text(snapshot), width)
        if not snapshot.gpus:
            return lines([cpu, Content.styled(NO_GPU, MUTED), memory][:height], height)
        return lines([cpu, *_gpus(in_use_first(snapshot), width, max(1, height - 2)), memory], height)

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """CPU, then the GPUs; memory has a line of its own elsewhere."""
        pieces = [Content.assemble(("CPU ", "bold"), percent_text(snapshot.cpu_percent))]
        for gpu in in_use_first(snapshot):
            pieces.append(Content.assemble((f"GPU {gpu.index} ", "bold"), " ".join(gpu_figures(gpu))))
            pieces += [Content.styled(slowed(gpu), WARNING)] if gpu.slowed_by else []
        return fit_pieces(pieces if snapshot.gpus else [*pieces, Content.styled(NO_GPU, MUTED)], width)


def in_use_first(snapshot: Snapshot) -> list[GpuSample]:
    """The GPUs of the engines, then the others, in the driver's order."""
    used = {name for side in (snapshot.left, snapshot.right) for name in (side.device, *side.others)} - {""}
    return sorted(snapshot.gpus, key=lambda gpu: gpu.device not in used)


def slowed(gpu: GpuSample) -> str:
    """`slowed by power limit and heat`; empty where nothing holds it down, or nobody says."""
    return f"slowed by {' and '.join(gpu.slowed_by)}" if gpu.slowed_by else ""


def gpu_figures(gpu: GpuSample) -> tuple[str, str, str]:
    """Use, power and temperature."""
    power = of_text(gpu.power, gpu.power_limit, "/")
    return percent_text(gpu.utilisation), f"{power} W", f"{_whole(gpu.temperature)} °C"


def of_text(figure: float | None, most: float | None, between: str = " of ") -> str:
    """`1,755 of 1,980`, or what is known of it."""
    return _whole(figure) if most is None else f"{_whole(figure)}{between}{_whole(most)}"


def _bar_row(name: str, percent: float | None, detail: str, width: int, style: str = "$primary") -> Content:
    """Name, bar, per cent, and the detail where the panel is wide."""
    share, wide = percent_text(percent), width >= WIDE
    room = width - NAME_CELLS - max(SHARE_CELLS, len(share) + 1) - (DETAIL_CELLS if wide else 0)
    if room < 4:
        return fit_pieces((Content(name), Content(share)), width)
    bar = stacked_bar((BarPart(percent or 0.0, "█", style),), 100.0, room)
    text = f"  {detail}" if wide and detail else ""
    return Content.assemble(f"{name:<{NAME_CELLS}}", bar, f"{share:>{SHARE_CELLS}}", text)


def _gpus(gpus: list[GpuSample], width: int, room: int) -> list[Content]:
    """The first one in as many lines as there is room for, the others in a line each."""
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
    """What the bar does not say, in lines: what slows it, figures, its name."""
    indent = " " * (NAME_CELLS if width >= ROOMY else 2)
    words = [one_line(slowed(gpu), width - len(indent))] if gpu.slowed_by else []
    pieces = [] if width >= WIDE else list(gpu_figures(gpu)[1:])
    if gpu.sm_clock is not None:
        pieces.append(f"SM {of_text(gpu.sm_clock, gpu.sm_clock_most)} MHz")
    if gpu.memory_clock is not None:
        pieces.append(f"memory {of_text(gpu.memory_clock, gpu.memory_clock_most)} MHz")
    if gpu.is_instance and gpu.power is None:
        pieces = [OF_WHOLE_GPU]
    name = one_line(gpu.name, width - len(indent))
    below = flow([one_line(piece, width - len(indent)) for piece in [*pieces, name]], width - len(indent))
    return [
        *(Content.assemble(indent, (line, WARNING)) for line in words),
        *(Content(indent + line) for line in below.split("\n") if line),
    ]


def _memory_percent(snapshot: Snapshot) -> float | None:
    return 100 * snapshot.memory_used / snapshot.memory_total if snapshot.memory_total > 0 else None


def _memory_text(snapshot: Snapshot) -> str:
    return bytes_of_text(snapshot.memory_used, snapshot.memory_total) if snapshot.memory_total > 0 else ""


def _whole(figure: float | None) -> str:
    return MISSING if figure is None else f"{figure:,.0f}"
