"""Draw Markdown that grows: each block once, and of the last one only what is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.widgets.chat.transcript.block_margin import BlockMargin, block_margin
from app.widgets.chat.transcript.blocks import Block, parse
from app.widgets.chat.transcript.drawn_block import Growing, begin, draw
from app.widgets.chat.transcript.growing_code import GrowingCode
from app.widgets.chat.transcript.line_renderer import BLANK, Line, LineRenderer


@dataclass(frozen=True)
class _Placed:
    block: Block
    marked: int
    """How many of the items that it is in have their marker above it."""
    gap: bool
    """Whether an empty line is above it."""
    growing: Growing | None = None
    """What has drawn its beginning."""


class IncrementalMarkdown:
    """The lines of a text that grows: they do not depend on the pieces in which it arrived.

    What is complete is parsed and drawn once: blocks with another one below them, lines of code, rows of
    tables. The parser reads the rest of the text after a scaffold, the shortest text that begins the list,
    the quote, the code or the table that the rest is in.
    """

    def __init__(self, renderer: LineRenderer) -> None:
        self._renderer = renderer
        self._restart({})

    def _restart(self, links: dict[str, Any]) -> None:
        self._links = links
        """The link definitions of the complete text."""
        self._linked = bool(links)
        """Whether all link definitions are known from the beginning."""
        self._text = ""
        self._complete = False
        self._finished: list[Line] = []
        self._fences: list[GrowingCode] = []
        """The code blocks of the finished lines."""
        self._begun_fences: list[GrowingCode] = []
        self._growing: Growing | None = None
        """The first block of the rest, where lines of it are complete and not read again."""
        self._start = 0
        """Where in the text the rest begins."""
        self._scaffold = ""
        self._numbers: tuple[int, ...] = ()
        """Of the items that the rest is in."""
        self._marked = 0
        """How many of these items have their marker above the rest."""
        self._gap = False
        """Whether an empty line is above the rest."""

    @property
    def finished(self) -> int:
        """Return the number of lines that will not change while the text grows."""
        return len(self._finished)

    @property
    def codes(self) -> list[str]:
        """Return the text of each code block."""
        return [fence.code for fence in (*self._fences, *self._begun_fences)]

    def render(self, text: str, *, complete: bool = False) -> list[Line]:
        """Return the lines of the text so far.

        Args:
            text: Begins with that of the previous call; otherwise all of it is drawn again.
            complete: Whether the text will not grow: its links then know the definitions below them.
        """
        if not text.startswith(self._text) or (self._complete and text != self._text):
            self._restart({})
        self._complete = complete
        lines, links = self._render(text)
        if complete and links and not self._linked:
            self._restart(links)
            self._complete = True
            lines, _ = self._render(text)
        return lines

    def _render(self, text: str) -> tuple[list[Line], dict[str, Any]]:
        """Return the lines of the text, and all link definitions."""
        self._text, self._begun_fences = text, []
        source = self._scaffold + text[self._start :]
        rows, env = source.split("\n"), {"references": dict(self._links)}
        blocks = self._placed(parse(source, rows, env, self._numbers))
        # What begins in a line that is not complete may turn out to belong to the block above it.
        complete = len(rows) - (not self._complete)
        last = max((index for index, one in enumerate(blocks) if one.block.begun <= complete), default=0)
        for one in blocks[:last]:
            self._finished += self._drawn(one, env, self._fences)
        shown = self._open(blocks[last], rows, complete, env) if blocks else []
        for one in blocks[last + 1 :]:
            shown += self._drawn(one, env, self._begun_fences)
        return self._finished + shown, env["references"]

    def _placed(self, blocks: list[Block]) -> list[_Placed]:
        """Return the blocks with what is above each of them."""
        placed: list[_Placed] = []
        for block in blocks:
            if placed:
                above = placed[-1].block
                marked = sum(one is other for one, other in zip(above.path, block.path, strict=False))
                placed.append(_Placed(block, marked, above.root != block.root))
            else:
                placed.append(_Placed(block, self._marked, self._gap, self._growing))
        return placed

    def _drawn(self, one: _Placed, env: dict[str, Any], fences: list[GrowingCode]) -> list[Line]:
        """Return the lines of a block, and add it to `fences` if it is code."""
        if growing := self._growing_of(one):
            growing.add(one.block, env)
            if isinstance(growing, GrowingCode):
                fences.append(growing)
        lines = growing.lines() if growing else draw(one.block, self._margin(one), self._renderer)
        return [BLANK, *lines] if one.gap else lines

    def _open(self, one: _Placed, rows: list[str], complete: int, env: dict[str, Any]) -> list[Line]:
        """Return the lines of the block that grows, and let the rest begin below what of it is complete."""
        block, growing, taken = one.block, self._growing_of(one), 0
        if growing:
            taken = growing.add(block, env, complete - block.first)
            if isinstance(growing, GrowingCode):
                self._begun_fences.append(growing)
        lines = growing.lines() if growing else draw(block, self._margin(one), self._renderer)
        self._growing = growing if taken or one.growing else None
        cut = block.first + taken
        left_out = sum(len(row) + 1 for row in rows[:cut])
        self._start += left_out - len(self._scaffold)
        self._scaffold = block.scaffold(rows, cut)
        self._numbers, self._marked, self._gap = tuple(of.number for of in block.path), one.marked, one.gap
        if not self._linked:
            self._links = {name: link for name, link in env["references"].items() if _ends(link, cut)}
        return [BLANK, *lines] if one.gap else lines

    def _growing_of(self, one: _Placed) -> Growing | None:
        """Return what draws a block line by line, where it has such lines."""
        number = len(self._fences) + len(self._begun_fences)
        return one.growing or begin(one.block, self._margin(one), number, self._renderer)

    def _margin(self, one: _Placed) -> BlockMargin:
        return block_margin(one.block.path, one.marked, self._renderer)


def _ends(link: dict[str, Any], cut: int) -> bool:
    """Return whether a definition is complete: above line `cut`, or in text that is not read again."""
    if link["map"][1] <= cut:
        link["map"] = (0, 0)
        return True
    return False
