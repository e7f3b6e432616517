"""The blocks of a KV cache that several requests share, as a map of cells by user."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from textual.content import Content

from app.widgets.panels.drawing import FREE, MUTED, share_cells
from engines.measure.load import LoadRecord

MARKS = "123456789ABCDEFGHIJKLMNOPQRSTUVW"
"""A character for each of 32 users, so that the map is readable without colours."""
STYLES = ("$text-primary", "$text-success", "$text-warning", "$text-error", "$text-accent", "$text-secondary")
OTHER = "▒"
"""Used blocks beyond the computed ones: those of a step in progress, or of a prompt without a token yet."""


def mark(user: int) -> tuple[str, str]:
    """Return the character and the style of a user."""
    return MARKS[user % len(MARKS)], f"bold {STYLES[user % len(STYLES)]}"


def request_map(record: LoadRecord, width: int, height: int) -> tuple[list[Content], int]:
    """Return the rows of the map and the blocks per cell; no rows if the library reports no blocks.

    The library reports how many blocks are in use. How many of them a request has is computed from its
    tokens; their places in the cache are not known, so the map puts those of a user side by side.
    """
    kv = record.kv
    if kv is None or not kv.total_blocks or not kv.block_tokens:
        return [], 1
    counts = [one.blocks(kv.block_tokens) if one else 0 for one in record.current()]
    counts.append(max(0, (kv.used_blocks or 0) - sum(counts)))
    scale = ceil(kv.total_blocks / max(1, width * height))
    cells = ceil(kv.total_blocks / scale)
    shared = share_cells(counts, kv.total_blocks, cells)
    glyphs: list[tuple[str, str]] = []
    for user, count in enumerate(shared[:-1]):
        glyphs += [mark(user)] * count
    glyphs += [(OTHER, MUTED)] * shared[-1]
    glyphs += [(FREE, MUTED)] * (cells - len(glyphs))
    return [_row(glyphs[start : start + width]) for start in range(0, cells, max(1, width))], scale


def _row(glyphs: Sequence[tuple[str, str]]) -> Content:
    return Content.assemble(*glyphs)
