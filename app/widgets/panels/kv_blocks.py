"""The KV cache of both sides: the turns in the context window, or blocks as the library reports them."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding
from textual.content import Content
from textual.signal import Signal

from app.state.side.snapshot import SideSnapshot, Snapshot
from app.units import bytes_of_text, bytes_text, count_text, share_text
from app.widgets.panels.block_map import REUSED, USED, Blocks, block_map, blocks_of
from app.widgets.panels.context_bar import (
    BAR_LEGEND,
    context_bar,
    context_figures,
    context_text,
    turn_figures,
)
from app.widgets.panels.drawing import (
    FREE,
    MUTED,
    BarPart,
    fit_pieces,
    lines,
    one_line,
    stacked_bar,
)
from app.widgets.panels.panel import NO_ENGINE, Panel, has_engine, sides
from app.widgets.panels.served_cache import TITLE as SERVED
from app.widgets.panels.served_cache import is_served, served_bar, served_figures, served_short_text
from engines.worker.protocol import KVUsage

SIDE_BY_SIDE = 88
"""From this width on the two maps are drawn side by side."""
CONTIGUOUS = "one contiguous buffer"
BOTH_LINES = 12
"""From this number of spare lines on, blocks are drawn below the turns."""
MIN_TITLE_CELLS = 12

Row = tuple[str, str, SideSnapshot]
"""(letter, style, side)."""


class KVBlocksPanel(Panel):
    """Turns in the context window of each side; on request, and in full screen, blocks."""

    BINDINGS = [Binding("b", "blocks", "Blocks or turns", id="kv.blocks")]  # noqa: RUF012
    TITLE: ClassVar[str] = "KV cache"
    LEGEND: ClassVar[str] = BAR_LEGEND
    BLOCK_LEGEND: ClassVar[str] = f"[$kv-used]{USED}[/] used [$kv-reused]{REUSED}[/] reused {FREE} free"
    SUMMARY: ClassVar[str] = (
        "Each side's conversation in its KV cache: the turns, what was reused, and where turns are dropped."
    )
    HELP = """\
### KV cache

Keys and values of the tokens so far. The bar is the **context window**, from 0 to its last token: each turn
is a segment of its own, its prompt and its answer. The **reused** part already held the prefix of the last
prompt, so it was not computed again. **▸** is where the next turn starts. When a prompt would be longer than
**┊**, the oldest turns are dropped (or the prompt is refused, by a setting, when the window is full).

**B** shows **blocks** instead; full screen (**F7**) shows both. A **paged** cache stores tokens in blocks of
a fixed number of them; a cell is one block, or as many as the panel says. **Prefix hits** are the share of
all prompt tokens in this conversation that were in the cache.

The libraries report only how many blocks are in each state: the map shows counts, not positions.

Of a **server** the panel shows what its metrics report, other clients included: running and waiting requests,
the used part of its cache, and its prefix hits since it started. A server without metrics reports nothing.

A **contiguous** cache is one buffer without blocks; the panel shows its tokens and bytes.
"""

    def __init__(self, snapshots: Signal[Snapshot] | None = None) -> None:
        super().__init__(snapshots)
        self.trims = True
        """Whether the oldest turns are dropped when the context window is full."""
        self.shows_blocks = False

    def action_blocks(self) -> None:
        """Show blocks instead of turns, or turns again."""
        self.shows_blocks = not self.shows_blocks
        if self.snapshot:
            self.show(self.snapshot)

    def legend(self, snapshot: Snapshot) -> str:
        """Return the legend of what is drawn."""
        return self.BLOCK_LEGEND if self.shows_blocks or not _context_scale(snapshot) else self.LEGEND

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw the turns in the context window, or blocks, or both if the height allows it."""
        engines = [row for row in sides(snapshot) if has_engine(row[2])]
        if not engines:
            return Content.styled(NO_ENGINE, MUTED)
        scale = _context_scale(snapshot)
        if self.shows_blocks or not scale:
            return self._blocks(snapshot, width, height)
        rows = [line for row in engines for line in self._window(row, width, scale, height)]
        if len(rows) + 1 + BOTH_LINES > height:
            return lines(rows, height)
        blocks = self._blocks(snapshot, width, height - len(rows) - 1)
        return lines([*rows, Content(""), *blocks.split("\n")], height)

    def _window(self, row: Row, width: int, scale: int, height: int) -> list[Content]:
        """Return head, bar and figures of one side, and in full screen the tokens of each turn."""
        letter, style, side = row
        shown = side.context
        if shown is None:
            return [_head(letter, style, side, "not loaded", width)]
        figures = context_figures(shown, trims=self.trims)
        if side.kv:
            figures += served_figures(side.kv) if is_served(side.kv) else [Content(_bytes(side.kv))]
        text = context_text(shown)
        if len(text) > width - MIN_TITLE_CELLS:
            text = text.replace(" tokens", "")
        lines_of_side = [
            _head(letter, style, side, text, width),
            context_bar(shown, width, scale, trims=self.trims),
            fit_pieces(figures, width),
        ]
        return [*lines_of_side, turn_figures(shown, width)] if height > BOTH_LINES else lines_of_side

    def _blocks(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw both sides, next to each other in wide panels, else the left above the right."""
        engines = [row for row in sides(snapshot) if has_engine(row[2])]
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
        top = 0 if self.shows_blocks else _context_scale(snapshot)
        texts = [_short_text(side, top > 0) for *_, side in engines]
        fixed = len("KV ") + sum(len(text) + 4 for text in texts)
        bar = min(24, (width - fixed) // len(engines))
        pieces = [Content.styled("KV", "bold")]
        for (letter, style, side), text in zip(engines, texts, strict=True):
            drawn = Content("")
            if bar >= 4 and top and side.context:
                drawn = context_bar(side.context, bar, top, trims=self.trims)
            elif bar >= 4 and side.kv:
                drawn = _bar(side.kv, bar, bytes_scale(snapshot))
            gap = " " if drawn.plain else ""
            pieces.append(Content.assemble((f"{letter} ", f"bold {style}"), drawn, gap, text))
        return fit_pieces(pieces, width, " ")


def _context_scale(snapshot: Snapshot) -> int:
    """Return the larger context window of both sides in tokens; 0 while none is known."""
    return max(side.context.context if side.context else 0 for *_, side in sides(snapshot))


def bytes_scale(snapshot: Snapshot) -> int:
    """Return the bytes of a growing cache's full bar: the other side's total or the next power of two."""
    usages = [side.kv for *_, side in sides(snapshot) if side.kv]
    used = max((usage.bytes_used for usage in usages), default=0)
    total = max((usage.bytes_total or 0 for usage in usages), default=0)
    return total if total >= used > 0 else 1 << max(0, used - 1).bit_length()


def _side(
    letter: str, style: str, side: SideSnapshot, bytes_top: int, width: int, height: int
) -> list[Content]:
    usage, blocks = side.kv, blocks_of(side.kv)
    if usage is None:
        return [_head(letter, style, side, "not reported", width)]
    if blocks is None and is_served(usage):
        head = _head(letter, style, side, SERVED, width)
        return [head, served_bar(usage, width), fit_pieces(served_figures(usage), width)][:height]
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
    figures = served_figures(usage) if is_served(usage) else _paged_figures(usage, blocks, scale)
    if side.prompt_tokens and not is_served(usage):
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
    if usage.state_bytes:
        figures.append(_states(usage))
    return [Content(figure) for figure in figures]


def _contiguous_figures(usage: KVUsage, bytes_top: int) -> list[Content]:
    tokens = f"{count_text(usage.tokens)} tokens"
    if usage.capacity_tokens:
        share = share_text(usage.tokens, usage.capacity_tokens)
        tokens = f"{count_text(usage.tokens)} of {count_text(usage.capacity_tokens)} tokens {share}"
    figures = [Content(tokens), Content(_bytes(usage))]
    if usage.state_bytes:
        figures.append(Content(_states(usage)))
    if not (usage.capacity_tokens or usage.bytes_total):
        figures.append(Content.styled(f"grows (bar shows up to {bytes_text(bytes_top)})", MUTED))
    return figures


def _bytes(usage: KVUsage) -> str:
    return (
        bytes_of_text(usage.bytes_used, usage.bytes_total)
        if usage.bytes_total
        else bytes_text(usage.bytes_used)
    )


def _states(usage: KVUsage) -> str:
    """Return the size of what recurrent layers keep, which has no tokens."""
    return f"+ {bytes_text(usage.state_bytes)} of recurrent state"


def _bar(usage: KVUsage | None, width: int, bytes_top: int) -> Content:
    """Return a bar of the used blocks, else tokens out of the capacity, else bytes out of `bytes_top`."""
    blocks = blocks_of(usage)
    if usage is None:
        return Content("")
    if blocks is None and is_served(usage):
        return served_bar(usage, width)
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


def _short_text(side: SideSnapshot, by_turn: bool) -> str:
    if by_turn and side.context:
        return f"{count_text(side.context.used)}/{count_text(side.context.context)}"
    usage = side.kv
    blocks = blocks_of(usage)
    if usage is None:
        return "n/a"
    if blocks is None:
        return served_short_text(usage) if is_served(usage) else bytes_text(usage.bytes_used)
    return f"{count_text(blocks.used)}/{count_text(blocks.total)}"


def _has_map(side: SideSnapshot) -> bool:
    return blocks_of(side.kv) is not None


def _join_columns(columns: list[list[Content]], width: int, height: int) -> Content:
    rows = []
    for i in range(min(height, max(len(column) for column in columns))):
        left, right = (column[i] if i < len(column) else Content("") for column in columns)
        rows.append(Content.assemble(left.pad_right(max(0, width - left.cell_length)), "   ", right))
    return lines(rows, height)
