"""The KV cache of both sides: a block map for paged caches, a bar for contiguous ones."""

from __future__ import annotations

from math import ceil
from typing import ClassVar, NamedTuple

from textual.content import Content

from app.state.side.snapshot import SideSnapshot, Snapshot
from app.units import bytes_of_text, bytes_text, count_text, share_text
from app.widgets.panels.drawing import (
    FREE,
    MUTED,
    BarPart,
    fit_pieces,
    lines,
    one_line,
    share_cells,
    stacked_bar,
)
from app.widgets.panels.panel import NO_ENGINE, Panel, has_engine, sides
from engines.worker.protocol import KVUsage

USED, REUSED = "█", "▒"
SIDE_BY_SIDE = 88
"""From this width on the two maps are drawn side by side."""
CONTIGUOUS = "one contiguous buffer"


class Blocks(NamedTuple):
    """Block counts of a paged cache; `used` includes `reused`."""

    used: int
    reused: int
    total: int


class KVBlocksPanel(Panel):
    """Blocks used, reused and free on each side."""

    TITLE: ClassVar[str] = "KV cache"
    LEGEND: ClassVar[str] = f"[$kv-used]{USED}[/] used [$kv-reused]{REUSED}[/] reused {FREE} free"
    SUMMARY: ClassVar[str] = (
        "Blocks of each side's KV cache: used, of those reused from earlier prompts, and free."
    )
    HELP = """\
### KV cache

Keys and values of the tokens so far. A **paged** cache stores them in **blocks** of a fixed number of tokens;
a cell is one block, or as many as the panel says. **Reused** blocks already held the prefix of the last
prompt, so it was not computed again. **Prefix hits** are the share of all prompt tokens in this conversation
that were in the cache.

The libraries report only how many blocks are in each state: the map shows counts, not positions.

A **contiguous** cache is one buffer without blocks; the panel shows its tokens and bytes.
"""

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw both sides, next to each other in wide panels, else the left above the right."""
        engines = [row for row in sides(snapshot) if has_engine(row[2])]
        if not engines:
            return Content.styled(NO_ENGINE, MUTED)
        scale = bytes_scale(snapshot)
        if width >= SIDE_BY_SIDE and len(engines) == 2:
            half = (width - 3) // 2
            columns = [_side(*row, scale, half, height) for row in engines]
            return _join_columns(columns, half, height)
        # A side without blocks needs three lines; a block map takes the rest.
        each = height // len(engines)
        heights = [each if _has_map(side) else min(each, 3) for *_, side in engines]
        spare = height - sum(heights)
        heights = [
            own + (spare if _has_map(row[2]) else 0) for own, row in zip(heights, engines, strict=True)
        ]
        drawings = [_side(*row, scale, width, own) for row, own in zip(engines, heights, strict=True)]
        return lines([line for drawing in drawings for line in drawing], height)

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw a bar and the used amount of each side."""
        engines = [row for row in sides(snapshot) if has_engine(row[2])]
        if not engines:
            return self.empty()
        texts = [_short_text(side.kv) for *_, side in engines]
        fixed = len("KV ") + sum(len(text) + 4 for text in texts)
        bar = min(24, (width - fixed) // len(engines))
        pieces = [Content.styled("KV", "bold")]
        for (letter, style, side), text in zip(engines, texts, strict=True):
            drawn = _bar(side.kv, bar, bytes_scale(snapshot)) if bar >= 4 and side.kv else Content("")
            gap = " " if drawn.plain else ""
            pieces.append(Content.assemble((f"{letter} ", f"bold {style}"), drawn, gap, text))
        return fit_pieces(pieces, width, " ")


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


def bytes_scale(snapshot: Snapshot) -> int:
    """Return the bytes of a growing cache's full bar: the other side's total or the next power of two."""
    usages = [side.kv for *_, side in sides(snapshot) if side.kv]
    used = max((usage.bytes_used for usage in usages), default=0)
    total = max((usage.bytes_total or 0 for usage in usages), default=0)
    return total if total >= used > 0 else 1 << max(0, used - 1).bit_length()


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


def _side(
    letter: str, style: str, side: SideSnapshot, bytes_top: int, width: int, height: int
) -> list[Content]:
    usage, blocks = side.kv, blocks_of(side.kv)
    if usage is None:
        return [_head(letter, style, side, "not reported", width)]
    if blocks is None:
        head = _head(letter, style, side, CONTIGUOUS, width)
        figures = _contiguous_figures(usage, bytes_top)
        return [head, _bar(usage, width, bytes_top), fit_pieces(figures, width)][:height]
    share = share_text(blocks.used, blocks.total)
    text = f"{count_text(blocks.used)} of {count_text(blocks.total)} blocks {share}"
    if len(text) > width - len("L … "):
        text = f"{count_text(blocks.used)}/{count_text(blocks.total)}"
    head = _head(letter, style, side, text, width)
    rows, scale = block_map(blocks, width, max(1, height - 2))
    figures = _paged_figures(usage, blocks, scale)
    if side.prompt_tokens:
        # After the tokens: the hit rate is more important than the size.
        hits = share_text(side.cached_tokens, side.prompt_tokens)
        figures.insert(2 if scale > 1 else 1, Content(f"{hits} prefix hits"))
    return [head, *([fit_pieces(figures, width)] if height > 2 else []), *rows][:height]


def _head(letter: str, style: str, side: SideSnapshot, text: str, width: int) -> Content:
    title = one_line(side.title or str(side.phase), max(0, width - len(text) - 4))
    return Content.assemble((f"{letter} ", f"bold {style}"), (title, style), "  ", (text, "bold"))


def _paged_figures(usage: KVUsage, blocks: Blocks, scale: int) -> list[Content]:
    """Return the figures in order of importance."""
    figures = [f"1 cell = {count_text(scale)} blocks"] if scale > 1 else []
    figures.append(f"{count_text(usage.tokens)} tokens")
    figures.append(_bytes(usage))
    if usage.reused_blocks is not None:
        figures.append(f"{count_text(blocks.reused)} reused")
    if usage.block_tokens:
        figures.append(f"{count_text(usage.block_tokens)} tokens per block")
    return [Content(figure) for figure in figures]


def _contiguous_figures(usage: KVUsage, bytes_top: int) -> list[Content]:
    tokens = f"{count_text(usage.tokens)} tokens"
    if usage.capacity_tokens:
        share = share_text(usage.tokens, usage.capacity_tokens)
        tokens = f"{count_text(usage.tokens)} of {count_text(usage.capacity_tokens)} tokens {share}"
    figures = [Content(tokens), Content(_bytes(usage))]
    if not (usage.capacity_tokens or usage.bytes_total):
        figures.append(Content.styled(f"grows (bar shows up to {bytes_text(bytes_top)})", MUTED))
    return figures


def _bytes(usage: KVUsage) -> str:
    return (
        bytes_of_text(usage.bytes_used, usage.bytes_total)
        if usage.bytes_total
        else bytes_text(usage.bytes_used)
    )


def _bar(usage: KVUsage | None, width: int, bytes_top: int) -> Content:
    """Return a bar of the used blocks, else tokens out of the capacity, else bytes out of `bytes_top`."""
    blocks = blocks_of(usage)
    if usage is None:
        return Content("")
    if blocks is not None:
        parts = (
            BarPart(blocks.reused, REUSED, "$kv-reused"),
            BarPart(blocks.used - blocks.reused, USED, "$kv-used"),
        )
        return stacked_bar(parts, blocks.total, width)
    if usage.capacity_tokens:
        return stacked_bar((BarPart(usage.tokens, "█", "$kv-used"),), usage.capacity_tokens, width)
    total = usage.bytes_total or bytes_top
    return stacked_bar((BarPart(usage.bytes_used, "█", "$kv-used"),), total, width)


def _short_text(usage: KVUsage | None) -> str:
    blocks = blocks_of(usage)
    if usage is None:
        return "n/a"
    if blocks is None:
        return bytes_text(usage.bytes_used)
    return f"{count_text(blocks.used)}/{count_text(blocks.total)}"


def _has_map(side: SideSnapshot) -> bool:
    return blocks_of(side.kv) is not None


def _join_columns(columns: list[list[Content]], width: int, height: int) -> Content:
    rows = []
    for i in range(min(height, max(len(column) for column in columns))):
        left, right = (column[i] if i < len(column) else Content("") for column in columns)
        rows.append(Content.assemble(left.pad_right(max(0, width - left.cell_length)), "   ", right))
    return lines(rows, height)
