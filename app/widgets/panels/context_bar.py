"""The context window of a side as a bar, divided by turn."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, groupby
from math import ceil

from textual.content import Content

from app.state.conversation.context_map import ContextMap
from app.units import count_text, share_text
from app.widgets.panels.drawing import FREE, MUTED, fit_pieces

TURN_GLYPHS, REUSED_GLYPHS = "█▓", "▒░"
"""Of turns with an odd and with an even number: neighbours differ without colours too."""
NEXT, TRIM = "▸", "┊"
BAR_LEGEND = f"[$kv-used]{TURN_GLYPHS}[/] turns [$kv-reused]{REUSED_GLYPHS}[/] reused {NEXT} next {TRIM} trim"


def context_bar(shown: ContextMap, width: int, scale: int, *, trims: bool) -> Content:
    """Return a bar of at most `width` cells: turns, the start of the next one, and where turns are dropped.

    Args:
        scale: tokens of `width` cells: the larger context window of both sides.
        trims: whether the oldest turns are dropped when the context window is full.
    """
    cells = min(width, max(1, round(width * shown.context / scale)))
    ends = list(accumulate(shown.turns))
    glyphs = [_cell(shown, ends, (cell + 0.5) * shown.context / cells) for cell in range(cells)]
    if trims and shown.used < shown.limit:
        glyphs[min(cells - 1, shown.limit * cells // shown.context)] = TRIM, MUTED
    following = ceil(shown.used * cells / shown.context - 0.5)  # the first cell with its middle beyond them
    if following < cells:
        glyphs[following] = NEXT, "bold"
    runs = groupby(glyphs, key=lambda glyph: glyph[1])
    return Content.assemble(*(("".join(text for text, _ in run), style) for style, run in runs))


def context_text(shown: ContextMap) -> str:
    """Return `592 of 2,048 tokens 29%`."""
    return (
        f"{count_text(shown.used)} of {count_text(shown.context)} tokens "
        f"{share_text(shown.used, shown.context)}"
    )


def context_figures(shown: ContextMap, *, trims: bool) -> list[Content]:
    """Return what the marks of the bar mean in figures, in order of importance."""
    count = len(shown.turns)
    pieces = [f"{count_text(count)} turn{'' if count == 1 else 's'}"]
    if shown.left_out:
        pieces.append(f"{count_text(shown.left_out)} dropped")
    if shown.reused:
        pieces.append(f"{count_text(shown.reused)} reused")
    if not trims:
        pieces.append("refused when full")
    elif shown.used < shown.limit:
        pieces.append(f"{TRIM} trim at {count_text(shown.limit)}")
    else:
        pieces.append("the next prompt trims")
    return [Content(piece) for piece in pieces]


def turn_figures(shown: ContextMap, width: int) -> Content:
    """Return the tokens of each turn, the newest ones first, as many as fit."""
    numbered = list(enumerate(shown.turns, shown.left_out + 1))
    pieces = [Content(f"turn {number}: {count_text(tokens)}") for number, tokens in reversed(numbered)]
    return fit_pieces([Content.styled("tokens of", MUTED), *pieces], width)


def _cell(shown: ContextMap, ends: list[int], token: float) -> tuple[str, str]:
    """Return glyph and style of the cell whose middle is `token`."""
    if token >= shown.used:
        return FREE, MUTED
    even = (shown.left_out + bisect_right(ends, token)) % 2
    if token < shown.reused:
        return REUSED_GLYPHS[even], "$kv-reused"
    return TURN_GLYPHS[even], "$kv-used"
