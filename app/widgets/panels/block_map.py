"""The blocks of a paged KV cache as a map of cells."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from textual.content import Content

from app.widgets.panels.drawing import FREE, MUTED, share_cells
from engines.worker.protocol import KVUsage

USED, REUSED = "█", "▒"


class Blocks(NamedTuple):
    """Block counts of a paged cache; `used` includes `reused`."""

    used: int
    reused: int
    total: int


def blocks_of(usage: KVUsage | None) -> Blocks | None:
    """Return the counts of a paged cache, missing ones derived; None for a cache without blocks."""
    if usage is None:
        return None
    used, free, total = usage.used_blocks, usage.free_blocks, usage.total_blocks
    if total is None and used is not None and free is not None:
        total = used + free
    if total is None or total <= 0:
        return None
    if used is None:
        used = total - free if free is not None else 0
    used = min(max(0, used), total)
    return Blocks(used, min(max(0, usage.reused_blocks or 0), used), total)


def block_map(blocks: Blocks, width: int, height: int) -> tuple[list[Content], int]:
    """Return the rows of the map and the number of blocks per cell, which is the lowest that fits."""
    room = max(1, width) * max(1, height)
    scale = ceil(blocks.total / room)
    cells = ceil(blocks.total / scale)
    reused, used = share_cells([blocks.reused, blocks.used - blocks.reused], blocks.total, cells)
    if blocks.used < blocks.total and reused + used == cells and cells > 1:
        # The last cell includes free blocks: only a full cache may look full.
        reused, used = (reused, used - 1) if used else (reused - 1, used)
    glyphs = [(REUSED, "$kv-reused")] * reused + [(USED, "$kv-used")] * used
    glyphs += [(FREE, MUTED)] * (cells - len(glyphs))
    return [_runs(glyphs[start : start + width]) for start in range(0, cells, max(1, width))], scale


def _runs(glyphs: list[tuple[str, str]]) -> Content:
    joined: list[tuple[str, str]] = []
    for glyph, style in glyphs:
        if joined and joined[-1][1] == style:
            joined[-1] = (joined[-1][0] + glyph, style)
        else:
            joined.append((glyph, style))
    return Content.assemble(*joined)
