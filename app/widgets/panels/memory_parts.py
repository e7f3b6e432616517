"""What a side's engine holds, by part, and beside what was expected of it."""

from __future__ import annotations

from typing import NamedTuple

from textual.content import Content

from app.state.side.snapshot import SideSnapshot
from app.units import bytes_text, percent_text
from app.widgets.panels.drawing import MUTED, BarPart, fit_pieces
from engines.plan.estimate import estimate

NAME_CELLS, FIGURE_CELLS = 14, 11
CLOSE = 0.01
"""A difference up to this share is none."""


class NamedPart(NamedTuple):
    """A segment of a side's bar, and what it is called."""

    part: BarPart
    name: str


def side_parts(side: SideSnapshot) -> tuple[NamedPart, ...]:
    """The segments of a side's bar.

    On a GPU, what the driver counts for the process beyond its library's allocator is the CUDA context with
    its graphs. What nobody accounts for is other.
    """
    usage = side.memory
    weights, kv, rest = (usage.weights or 0, usage.kv or 0, usage.other or 0) if usage else (0, 0, 0)
    parts = [
        NamedPart(BarPart(weights, "█", "$memory-weights"), "weights"),
        NamedPart(BarPart(kv, "▓", "$memory-kv"), "KV"),
    ]
    beyond = max(0, side.held - weights - kv - rest)
    if side.on_gpu and rest:
        parts.append(NamedPart(BarPart(rest, "▒", "$memory-other"), "workspace"))
        parts.append(NamedPart(BarPart(beyond, "▚", "$memory-other"), "context"))
    else:
        parts.append(NamedPart(BarPart(rest + beyond, "▒", "$memory-other"), "other"))
    return tuple(parts)


def parts_line(side: SideSnapshot, width: int) -> Content:
    """The parts in figures, and how far the estimate was off."""
    named = side_parts(side)
    if not any(one.part.amount for one in named if one.name != "other"):
        text = "the library reports no parts" if side.held else "nothing measured yet"
        return Content.styled(f"  {text}", MUTED)
    shown = [(part, f" {name}", bytes_text(part.amount)) for part, name in named if part.amount]
    if sum(len(name) + len(figure) + len("█   ") for _, name, figure in shown) > width:
        # The border names the glyphs too: the figures matter more.
        shown = [(part, "", figure) for part, _, figure in shown]
    pieces = [Content.assemble((part.glyph, part.style), f"{name} {figure}") for part, name, figure in shown]
    if off := estimate_words(side):
        pieces.append(Content.styled(off, MUTED))
    if side.on_gpu and side.process_bytes:
        pieces.append(Content.styled(f"host {bytes_text(side.process_bytes)}", MUTED))
    return Content.assemble("  ", fit_pieces(pieces, width - 2))


def expected_parts(side: SideSnapshot) -> tuple[estimate.MemoryPart, ...]:
    """The estimate of the loaded engine beside what it takes; empty without an estimate."""
    if side.estimate is None:
        return ()
    return estimate.parts(side.estimate, side.memory, side.counted)


def estimate_words(side: SideSnapshot) -> str:
    """`8% more than estimated`, of the whole or else of what is counted; empty where nothing is.

    A cache that grows is left out: the estimate is for a full context.
    """
    weights, kv, other, whole = expected_parts(side) or (None,) * 4
    if not (weights and kv and other and whole) or weights.actual is None:
        return ""
    compared = [weights] if _grows(side) or kv.actual is None else [weights, kv]
    if whole.actual is not None:
        compared.append(other)
    name = "" if whole.actual is not None else "weights " if len(compared) == 1 else "weights and KV "
    estimated = sum(part.estimated for part in compared)
    return name + difference(estimated, sum(part.actual or 0 for part in compared), " than estimated")


def _grows(side: SideSnapshot) -> bool:
    return side.kv is None or not side.kv.bytes_total


def difference(estimated: int, actual: int, than: str = "") -> str:
    """`8% more`, `3% less`, or `as estimated`: what is taken against what was expected."""
    share = (actual - estimated) / estimated if estimated else 0.0
    if abs(share) <= CLOSE:
        return "as estimated"
    return f"{percent_text(100 * abs(share))} {'more' if share > 0 else 'less'}{than}"


def estimate_table(letter: str, style: str, side: SideSnapshot) -> list[Content]:
    """All parts, a line each: what was expected, what is taken, and the difference in words."""
    expected = expected_parts(side)
    if not expected:
        return []
    head = f"{'estimate':>{FIGURE_CELLS}}{'loaded':>{FIGURE_CELLS}}"
    rows = [Content.assemble((f"{letter} ", f"bold {style}"), (f"{'':{NAME_CELLS}}{head}", MUTED))]
    for part in expected:
        figures = f"{bytes_text(part.estimated):>{FIGURE_CELLS}}{bytes_text(part.actual):>{FIGURE_CELLS}}"
        rows.append(Content.assemble(f"  {part.name:{NAME_CELLS}}", figures, (_why(part, side), MUTED)))
    if side.memory and side.memory.peak:
        figure = f"{bytes_text(side.memory.peak):>{2 * FIGURE_CELLS}}"
        rows.append(Content.assemble(f"  {'peak':{NAME_CELLS}}", figure, ("  by the allocator", MUTED)))
    return rows


def _why(part: estimate.MemoryPart, side: SideSnapshot) -> str:
    if part.actual is None:
        return "  the driver does not say whose it is" if side.on_gpu else "  not reported"
    words = difference(part.estimated, part.actual)
    if part.name == "KV cache" and part.actual < part.estimated and _grows(side):
        return "  grows with the context"
    counted = (
        "" if part.name != "other" or not side.on_gpu or side.gpu_bytes else ", without the CUDA context"
    )
    return f"  {words}{counted}"
