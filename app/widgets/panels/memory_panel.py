"""Memory of each side's engine by part, of the machine and of every GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual.content import Content

from app.state.side.snapshot import SideSnapshot, Snapshot
from app.units import MISSING, bytes_of_text, bytes_text, share_text
from app.widgets.panels.device import in_use_first
from app.widgets.panels.drawing import MUTED, BarPart, fit_pieces, lines, one_line, stacked_bar
from app.widgets.panels.memory_parts import estimate_table, parts_line, side_parts
from app.widgets.panels.panel import NO_ENGINE, Panel, has_engine, sides
from engines.measure.gpu import GpuSample

MIN_BAR_CELLS = 8
OTHER_PROCESSES = BarPart(0, "░", "$memory-other-processes")
"""Memory used by other processes."""


class MemoryRow(NamedTuple):
    """A bar with its name and figures."""

    name: Content
    parts: tuple[BarPart, ...]
    total: float
    figures: str
    share: str = ""
    """Dropped if the bar would get too short."""


class MemoryPanel(Panel):
    """Stacked bars of memory."""

    TITLE: ClassVar[str] = "Memory"
    LEGEND: ClassVar[str] = (
        "[$memory-weights]█[/] weights [$memory-kv]▓[/] KV [$memory-other]▒[/] other "
        "[$memory-other-processes]░[/] other processes"
    )
    GPU_LEGEND: ClassVar[str] = LEGEND.replace("other ", "workspace [$memory-other]▚[/] context ", 1)
    SUMMARY: ClassVar[str] = (
        "Memory of each engine by part, its estimate, and the memory used by other processes."
    )
    HELP = """\
### Memory

Each side's bar is the memory of its engine, on the machine or on its GPU. **Weights** and **KV cache** are
reported by the engine's library. On the CPU the rest of the process is **other** (runtime, activations,
libraries). On a GPU, **workspace** is what the library's allocator holds for activations and scratch, and
**context** what the driver counts beyond the allocator: the CUDA context and captured graphs. **Peak** is the
allocator's own maximum, not the maximum of the samples. Both bars have the same scale.

The **estimate** is the one of Models, for a full context; a cache that grows is excluded from the comparison
with measured memory. F7 shows each part.

The bars of the machine and of each GPU show the **left** side, the **right** side and **other processes**;
dots are free. In a container the driver does not name processes: CUDA contexts and other processes are then
one part.

An engine that reserves its KV cache at start shows its full size from the beginning.
"""

    def legend(self, snapshot: Snapshot) -> str:
        """Return the legend; on a GPU with workspace and context."""
        return self.GPU_LEGEND if snapshot.left.on_gpu or snapshot.right.on_gpu else self.LEGEND

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw a bar and a line of parts for each side, then machine and GPUs, then the estimates.

        If the height does not suffice, the estimates are dropped first, then the lines of parts.
        """
        devices = device_rows(snapshot)
        shows_parts = height >= 4 + min(1, len(devices))
        engines = [row for row in sides(snapshot) if has_engine(row[2])]
        scale = max((side.held for *_, side in engines), default=0)
        rows = [side_row(letter, style, side, scale, width) for letter, style, side in engines]
        shown = _aligned(rows + devices, width)
        bars, below = shown[: len(rows)], shown[len(rows) :]
        block: list[Content] = [] if engines else [Content.styled(NO_ENGINE, MUTED)]
        for bar, (_, _, side) in zip(bars, engines, strict=True):
            block += [bar, parts_line(side, width)] if shows_parts else [bar]
        block += _cut(below, height - len(block))
        tables = [line for row in engines for line in (Content(""), *estimate_table(*row))]
        return lines([*block, *(tables if len(block) + len(tables) <= height else [])], height)

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw the totals, and the last device's bar in the rest of the line."""
        pieces = [Content.styled("memory", "bold")]
        for letter, style, side in sides(snapshot):
            if has_engine(side):
                figure = bytes_text(side.held or None)
                pieces.append(Content.assemble((f"{letter} ", f"bold {style}"), figure))
        devices = device_rows(snapshot)
        pieces += [Content.assemble(row.name, " ", f"{row.figures} {row.share}".rstrip()) for row in devices]
        line = fit_pieces(pieces, width)
        room = width - line.cell_length - 2
        if not devices or room < MIN_BAR_CELLS:
            return line
        return Content.assemble(line, "  ", stacked_bar(devices[-1].parts, devices[-1].total, min(room, 40)))


def side_row(letter: str, style: str, side: SideSnapshot, scale: float, width: int) -> MemoryRow:
    """Return the row of a side; `scale` is the bytes of a full bar."""
    title = one_line(side.title or str(side.phase), max(8, width * 3 // 10))
    name = Content.assemble((f"{letter} ", f"bold {style}"), (title, style))
    peak = side.memory.peak if side.memory else None
    # An allocator's peak excludes the CUDA context: less than what is held now would only confuse.
    peak_text = f"allocator peak {bytes_text(peak)}" if peak and peak > (side.held or 0) else ""
    return MemoryRow(
        name, tuple(named.part for named in side_parts(side)), scale, bytes_text(side.held or None), peak_text
    )


def device_rows(snapshot: Snapshot) -> list[MemoryRow]:
    """Return the rows of the machine and each GPU; the GPUs come first if an engine uses one."""
    gpus = []
    rows = []
    if snapshot.memory_total > 0:
        left, right = (side.process_bytes or 0 for side in (snapshot.left, snapshot.right))
        parts = _owners(left, right, snapshot.memory_used)
        rows.append(_device_row("machine", parts, snapshot.memory_used, snapshot.memory_total))
    for gpu in in_use_first(snapshot):
        parts = _gpu_parts(snapshot, gpu)
        gpus.append(_device_row(f"GPU {gpu.index}", parts, gpu.memory_used, gpu.memory_total))
    return gpus + rows if snapshot.left.on_gpu or snapshot.right.on_gpu else rows + gpus


def _gpu_parts(snapshot: Snapshot, gpu: GpuSample) -> tuple[BarPart, ...]:
    both = (snapshot.left, snapshot.right)
    left, right = (_on(side, gpu) for side in both)
    # In a container the driver names no processes. Only the library's count is then known to be the engine's;
    # the rest may be CUDA contexts of the engines or other processes.
    unnamed = any(side.on_gpu and has_engine(side) and side.gpu_bytes is None for side in both)
    return _owners(left, right, gpu.memory_used or 0, BarPart(0, "▚", MUTED) if unnamed else OTHER_PROCESSES)


def _on(side: SideSnapshot, gpu: GpuSample) -> int:
    """Return the bytes of a GPU held by a side's engine."""
    if side.bytes_by_gpu:
        return side.bytes_by_gpu.get(gpu.index, 0)
    return side.held_on(gpu.device) if gpu.device else 0


def _owners(left: int, right: int, used: int, rest: BarPart = OTHER_PROCESSES) -> tuple[BarPart, ...]:
    return (
        BarPart(left, "L", "$background on $left"),
        BarPart(right, "R", "$background on $right"),
        replace(rest, amount=max(0, used - left - right)),
    )


def _device_row(name: str, parts: tuple[BarPart, ...], used: int | None, total: int | None) -> MemoryRow:
    share = share_text(used, total)
    return MemoryRow(
        Content(name), parts, float(total or 0), bytes_of_text(used, total), share if share != MISSING else ""
    )


def _aligned(rows: list[MemoryRow], width: int) -> list[Content]:
    """Return one line per row: name, bar and figures, aligned; without bars if `width` is too small."""
    if not rows:
        return []
    names = max(row.name.cell_length for row in rows)
    for texts in ([f"{row.figures} {row.share}".rstrip() for row in rows], [row.figures for row in rows]):
        figures = max(cell_len(text) for text in texts)
        room = width - names - figures - 2
        if room >= MIN_BAR_CELLS:
            break
    else:
        return [fit_pieces((row.name, Content(row.figures), Content(row.share)), width) for row in rows]
    return [
        Content.assemble(
            row.name.pad_right(names - row.name.cell_length + 1),
            stacked_bar(row.parts, row.total, room),
            f" {text:>{figures}}",
        )
        for row, text in zip(rows, texts, strict=True)
    ]


def _cut(rows: list[Content], room: int) -> list[Content]:
    if len(rows) <= room or room <= 1:
        return rows[: max(1, room)]
    return [*rows[: room - 1], Content.styled(f"and {len(rows) - room + 1} more", MUTED)]
