"""Memory by part: of each side's process, of the machine, and of every GPU."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual.content import Content

from app.state.series import SideSnapshot, Snapshot
from app.units import MISSING, bytes_of_text, bytes_text, share_text
from app.widgets.drawing import MUTED, Part, fit_pieces, lines, one_line, stacked_bar
from app.widgets.panel import NO_ENGINE, Panel, has_engine, sides
from engines.measure.gpu import GpuSample

NARROWEST_BAR = 8


class Row(NamedTuple):
    """A bar with its name and its figures."""

    name: Content
    parts: tuple[Part, ...]
    total: float
    figures: str
    share: str = ""
    """Left out where it would take the bar's room."""


class MemoryPanel(Panel):
    """Stacked bars of memory."""

    TITLE: ClassVar[str] = "Memory"
    LEGEND: ClassVar[str] = (
        "[$memory-weights]█[/] weights [$memory-kv]▓[/] KV [$memory-other]▒[/] other "
        "[$memory-programs]░[/] programs"
    )
    SUMMARY: ClassVar[str] = (
        "Weights, KV cache and the rest of each side's process, and what other programs use."
    )
    HELP = """\
### Memory

Each side's bar is the memory of its process: **weights**, **KV cache** and everything **other** (runtime,
activations, libraries). Both are drawn to the scale of the larger one. Where an engine's library reports no
parts, only the process as a whole is shown.

The machine's bar, and that of each GPU, holds the **left** side, the **right** side and **other programs**;
dots are free. Where the driver does not tell whose memory it is, it is drawn as one.

An engine that reserves its KV cache at start shows it in full from the first moment on.
"""

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """A bar a side, with its parts in words below where there is room, then machine and GPUs."""
        devices = device_rows(snapshot)
        parts_too = height >= 4 + len(devices)
        engines = [row for row in sides(snapshot) if has_engine(row[2])]
        scale = max((side_total(side) for *_, side in engines), default=0.0)
        rows = [side_row(letter, style, side, scale, width) for letter, style, side in engines]
        shown = _aligned(rows + devices, width)
        bars, below = shown[: len(rows)], shown[len(rows) :]
        block: list[Content] = [] if engines else [Content.styled(NO_ENGINE, MUTED)]
        for bar, (_, _, side) in zip(bars, engines, strict=True):
            block += [bar, parts_line(side, width)] if parts_too else [bar]
        return lines([*block, *_cut(below, height - len(block))], height)

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Totals in words, and the machine's bar in what is left of the line."""
        pieces = [Content.styled("memory", "bold")]
        for letter, style, side in sides(snapshot):
            if has_engine(side):
                figure = bytes_text(side_total(side) or None)
                pieces.append(Content.assemble((f"{letter} ", f"bold {style}"), figure))
        devices = device_rows(snapshot)
        pieces += [Content.assemble(row.name, " ", f"{row.figures} {row.share}".rstrip()) for row in devices]
        line = fit_pieces(pieces, width)
        room = width - line.cell_length - 2
        if not devices or room < NARROWEST_BAR:
            return line
        return Content.assemble(line, "  ", stacked_bar(devices[-1].parts, devices[-1].total, min(room, 40)))


def side_total(side: SideSnapshot) -> float:
    """Bytes of a side where its engine lives: on the GPUs if it uses any, else in the machine's memory."""
    return float(side.gpu_bytes or side.process_bytes or sum(known_parts(side)))


def known_parts(side: SideSnapshot) -> tuple[int, int, int]:
    """Weights, KV and other as the library reports them; 0 where it does not."""
    usage = side.memory
    return (usage.weights or 0, usage.kv or 0, usage.other or 0) if usage else (0, 0, 0)


def side_parts(side: SideSnapshot) -> tuple[Part, ...]:
    """The segments of a side's bar; what the library does not account for counts as other."""
    weights, kv, other = known_parts(side)
    other = max(other, int(side_total(side)) - weights - kv)
    return (
        Part(weights, "█", "$memory-weights"),
        Part(kv, "▓", "$memory-kv"),
        Part(other, "▒", "$memory-other"),
    )


def side_row(letter: str, style: str, side: SideSnapshot, scale: float, width: int) -> Row:
    """A side's bar, to the scale of the larger side."""
    title = one_line(side.title or str(side.phase), max(8, width * 3 // 10))
    name = Content.assemble((f"{letter} ", f"bold {style}"), (title, style))
    return Row(name, side_parts(side), scale, bytes_text(side_total(side) or None))


def parts_line(side: SideSnapshot, width: int) -> Content:
    """The parts of a side's process in figures."""
    parts = side_parts(side)
    if not any(known_parts(side)):
        text = "the library reports no parts" if side_total(side) else "nothing measured yet"
        return Content.styled(f"  {text}", MUTED)
    named = zip(parts, (" weights", " KV", " other"), strict=True)
    shown = [(part, name, bytes_text(part.amount)) for part, name in named if part.amount]
    if sum(len(name) + len(figure) + 4 for _, name, figure in shown) > width:
        # The border names the glyphs too: the figures matter more.
        shown = [(part, "", figure) for part, _, figure in shown]
    pieces = [Content.assemble((part.glyph, part.style), f"{name} {figure}") for part, name, figure in shown]
    if side.gpu_bytes and side.process_bytes:
        pieces.append(Content(f"host {bytes_text(side.process_bytes)}"))
    if side.memory and side.memory.peak:
        pieces.append(Content.styled(f"peak {bytes_text(side.memory.peak)}", MUTED))
    return Content.assemble("  ", fit_pieces(pieces, width - 2))


def device_rows(snapshot: Snapshot) -> list[Row]:
    """The machine's memory, then each GPU's."""
    left, right = snapshot.left, snapshot.right
    rows = []
    if snapshot.memory_total > 0:
        parts = _owners(left.process_bytes, right.process_bytes, snapshot.memory_used)
        rows.append(_device_row("machine", parts, snapshot.memory_used, snapshot.memory_total))
    for gpu in snapshot.gpus:
        parts = _gpu_parts(snapshot, gpu)
        rows.append(_device_row(f"GPU {gpu.index}", parts, gpu.memory_used, gpu.memory_total))
    return rows


def _gpu_parts(snapshot: Snapshot, gpu: GpuSample) -> tuple[Part, ...]:
    left, right, used = snapshot.left, snapshot.right, gpu.memory_used or 0
    ours = (left.gpu_bytes, right.gpu_bytes)
    engines = has_engine(left) or has_engine(right)
    # Our bytes are summed over the GPUs, and in a container the driver does not name our processes at all:
    # what cannot be placed is not blamed on other programs.
    if engines and (len(snapshot.gpus) > 1 or ours == (None, None)):
        return (Part(used, "█", MUTED),)
    return _owners(*ours, used)


def _owners(left: int | None, right: int | None, used: int) -> tuple[Part, ...]:
    ours = (left or 0) + (right or 0)
    return (
        Part(left or 0, "L", "$background on $left"),
        Part(right or 0, "R", "$background on $right"),
        Part(max(0, used - ours), "░", "$memory-programs"),
    )


def _device_row(name: str, parts: tuple[Part, ...], used: int | None, total: int | None) -> Row:
    share = share_text(used, total)
    return Row(
        Content(name), parts, float(total or 0), bytes_of_text(used, total), share if share != MISSING else ""
    )


def _aligned(rows: list[Row], width: int) -> list[Content]:
    """Names left, figures right, and the bars in between, all of one length."""
    if not rows:
        return []
    names = max(row.name.cell_length for row in rows)
    for texts in ([f"{row.figures} {row.share}".rstrip() for row in rows], [row.figures for row in rows]):
        figures = max(cell_len(text) for text in texts)
        room = width - names - figures - 2
        if room >= NARROWEST_BAR:
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
    if len(rows) <= room or room < 1:
        return rows
    return [*rows[: room - 1], Content.styled(f"and {len(rows) - room + 1} more", MUTED)]
