"""Memory of a side's engine by part, and its difference from the estimate."""

from __future__ import annotations

from typing import NamedTuple

from textual.content import Content

from app.state.side.snapshot import SideSnapshot
from app.units import bytes_text, percent_text
from app.widgets.panels.drawing import MUTED, BarPart, fit_pieces
from engines.plan.estimate import estimate

NAME_CELLS, FIGURE_CELLS = 14, 11
CLOSE = 0.01
"""Differences up to this share are shown as `as estimated`."""


class NamedPart(NamedTuple):
    """A segment of a side's bar with its name."""

    part: BarPart
    name: str


def side_parts(side: SideSnapshot) -> tuple[NamedPart, ...]:
    """Return the segments of a side's bar.

    On a GPU, bytes that the driver counts for the process beyond the library's allocator are the CUDA context
    and its graphs. Bytes that are otherwise unaccounted for are `other`.
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
    """Return the bytes of each part, and the difference from the estimate."""
    named = side_parts(side)
    if not any(part.amount for part, name in named if name != "other"):
        text = "no breakdown available" if side.held else "nothing measured yet"
        return Content.styled(f"  {text}", MUTED)
    shown = [(part, f" {name}", bytes_text(part.amount)) for part, name in named if part.amount]
    if sum(len(name) + len(figure) + len("█   ") for _, name, figure in shown) > width:
        # The legend in the border explains the glyphs, so the names are dropped before the figures.
        shown = [(part, "", figure) for part, _, figure in shown]
    pieces = [Content.assemble((part.glyph, part.style), f"{name} {figure}") for part, name, figure in shown]
    if text := estimate_text(side):
        pieces.append(Content.styled(text, MUTED))
    if side.on_gpu and side.process_bytes:
        pieces.append(Content.styled(f"host {bytes_text(side.process_bytes)}", MUTED))
    return Content.assemble("  ", fit_pieces(pieces, width - 2))


def expected_parts(side: SideSnapshot) -> tuple[estimate.MemoryPart, ...]:
    """Return estimated and measured bytes of the loaded engine by part; empty without an estimate."""
    if side.estimate is None:
        return ()
    return estimate.parts(side.estimate, side.memory, side.counted)


def estimate_text(side: SideSnapshot) -> str:
    """Return `8 % more than estimated`, of the total or else of the parts that are known; empty if none is.

    A cache that grows is excluded: the estimate is for a full context.
    """
    weights, kv, other, total = expected_parts(side) or (None,) * 4
    if not (weights and kv and other and total) or weights.actual is None:
        return ""
    compared = [weights] if _grows(side) or kv.actual is None else [weights, kv]
    if total.actual is not None:
        compared.append(other)
    name = "" if total.actual is not None else "weights " if len(compared) == 1 else "weights and KV "
    estimated = sum(part.estimated for part in compared)
    return name + difference(estimated, sum(part.actual or 0 for part in compared), " than estimated")


def _grows(side: SideSnapshot) -> bool:
    return side.kv is None or not side.kv.bytes_total


def difference(estimated: int, actual: int, than: str = "") -> str:
    """Return `8 % more`, `3 % less` or `as estimated`; `than` is appended to the first two."""
    share = (actual - estimated) / estimated if estimated else 0.0
    if abs(share) <= CLOSE:
        return "as estimated"
    return f"{percent_text(100 * abs(share))} {'more' if share > 0 else 'less'}{than}"


def estimate_table(letter: str, style: str, side: SideSnapshot) -> list[Content]:
    """Return a line per part: estimate, measured bytes and their difference."""
    expected = expected_parts(side)
    if not expected:
        return []
    head = f"{'estimate':>{FIGURE_CELLS}}{'loaded':>{FIGURE_CELLS}}"
    rows = [Content.assemble((f"{letter} ", f"bold {style}"), (f"{'':{NAME_CELLS}}{head}", MUTED))]
    for part in expected:
        figures = f"{bytes_text(part.estimated):>{FIGURE_CELLS}}{bytes_text(part.actual):>{FIGURE_CELLS}}"
        rows.append(Content.assemble(f"  {part.name:{NAME_CELLS}}", figures, (_remark(part, side), MUTED)))
    peak, now = side.memory.peak if side.memory else None, expected[-1].actual or 0
    if peak and peak > now:  # an allocator's peak excludes the CUDA context
        figure = f"{bytes_text(peak):>{2 * FIGURE_CELLS}}"
        rows.append(Content.assemble(f"  {'peak':{NAME_CELLS}}", figure, ("  of the allocator", MUTED)))
    return rows


def _remark(part: estimate.MemoryPart, side: SideSnapshot) -> str:
    if part.actual is None:
        return "  the driver does not name its process" if side.on_gpu else "  not reported"
    text = difference(part.estimated, part.actual)
    if part.name == "KV cache" and part.actual < part.estimated and _grows(side):
        return "  grows with the context"
    counted = (
        "" if part.name != "other" or not side.on_gpu or side.gpu_bytes else ", without the CUDA context"
    )
    return f"  {text}{counted}"
