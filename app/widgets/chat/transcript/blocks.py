"""The blocks of a Markdown text, and how to go on in the middle of one without the text before it.

A block is what is drawn as a whole: a paragraph, a heading, code, a table. Lists and quotes contain blocks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.utils import EnvType

from app.widgets.chat.transcript.formula import keep_formulas

# HTML is shown as text: a model's `<tag>` is part of its answer.
PARSER = keep_formulas(MarkdownIt("commonmark", {"html": False}).enable("strikethrough").enable("table"))
_ITEM = re.compile(r"[ \t>]*(?:[-+*]|\d{1,9}[.)])")
"""What begins an item, from the end of the marker before it on the same line."""
_NOT_A_QUOTE = re.compile(r"[^ \t>]")


@dataclass(frozen=True, eq=False)
class Container:
    """A quote or a list item around a block."""

    marker: str
    """Drawn before an item's first line, such as `• ` or `2. `; empty for a quote."""
    number: int
    """Of an item in an ordered list; 0 in other containers."""
    first: int
    """Its first line."""
    opening: str
    """A line that begins the item and has nothing else; empty for a quote, whose lines all have its sign."""


@dataclass(frozen=True)
class Block:
    """One block of a text."""

    tokens: Sequence[Token]
    """The parser's tokens; those of the text in it are not parsed yet."""
    path: tuple[Container, ...]
    """What it is in, the outermost first."""
    root: int
    """Number of its outermost list, quote or itself in the text: an empty line is drawn between those."""
    first: int
    """Its first line."""

    @property
    def kind(self) -> str:
        """Return `paragraph`, `heading`, `table`, `fence`, `code_block`, `formula` or `hr`."""
        return self.tokens[0].type.removesuffix("_open")

    @property
    def head(self) -> int:
        """Return the number of lines that begin the block, and that each part of it needs above itself."""
        return {"fence": 1, "table": 2, "paragraph": 1, "heading": 1}.get(self.kind, 0)

    @property
    def begun(self) -> int:
        """Return the line below those that make it such a block."""
        return self.first + max(1, self.head)

    def scaffold(self, lines: Sequence[str], cut: int) -> str:
        """Return the lines after which the lines from `cut` on mean the same as in the text.

        Args:
            lines: Those of the text.
            cut: A line of the block: its first one, or one below its head.
        """
        head = lines[self.first : min(cut, self.first + self.head)]
        above = self.first if head else cut
        opened = [one.opening for one in self.path if one.opening and one.first < above]
        return "".join(f"{line}\n" for line in (*opened, *head))


def parse(source: str, lines: Sequence[str], env: EnvType, numbers: Sequence[int] = ()) -> list[Block]:
    """Return the blocks of a text.

    Args:
        source: The text.
        lines: Its lines.
        env: The link definitions found so far; those of the text are added.
        numbers: Of the items that the first block is in, where the text before it was left out.
    """
    tokens: list[Token] = []
    PARSER.block.parse(source, PARSER, env, tokens)
    return _Walk(lines, numbers).blocks(tokens)


class _Walk:
    """Finds the blocks among the tokens of a parser."""

    def __init__(self, lines: Sequence[str], numbers: Sequence[int]) -> None:
        self._lines, self._numbers = lines, numbers
        self._blocks: list[Block] = []
        self._path: list[Container] = []
        self._next: list[int | None] = []
        """Number of the next item of each open list; None in a list with bullets."""
        self._columns: dict[int, int] = {}
        """Where the last marker of each line ends."""

    def blocks(self, tokens: Sequence[Token]) -> list[Block]:
        """Return the blocks."""
        root, start = -1, 0
        for index, token in enumerate(tokens):
            root += token.level == 0 and token.nesting >= 0
            if token.type.startswith(("bullet_list", "ordered_list", "list_item", "blockquote")):
                self._enter(token) if token.nesting > 0 else self._leave(token)
                start = index + 1
            elif token.level == tokens[start].level and token.nesting <= 0:
                first = tokens[start].map
                block = Block(tokens[start : index + 1], tuple(self._path), root, first[0] if first else 0)
                self._blocks.append(block)
                start = index + 1
        return self._blocks

    def _enter(self, token: Token) -> None:
        if token.type == "bullet_list_open":
            self._next.append(None)
        elif token.type == "ordered_list_open":
            self._next.append(self._left_out() or int(token.attrs.get("start", 1)))
        else:
            first = token.map[0] if token.map else 0
            self._path.append(
                self._item(first) if token.type == "list_item_open" else Container("", 0, first, "")
            )

    def _leave(self, token: Token) -> None:
        (self._next if token.type.endswith("list_close") else self._path).pop()

    def _left_out(self) -> int:
        depth = len(self._path)
        return self._numbers[depth] if not self._blocks and depth < len(self._numbers) else 0

    def _item(self, first: int) -> Container:
        number = self._next[-1]
        if number is not None:
            self._next[-1] = number + 1
        marker = "• " if number is None else f"{number}. "
        return Container(marker, number or 0, first, self._opening(first))

    def _opening(self, row: int) -> str:
        line, column = self._lines[row], self._columns.get(row, 0)
        found = _ITEM.match(line, column)
        end = self._columns[row] = found.end() if found else len(line)
        return _NOT_A_QUOTE.sub(" ", line[:column]) + line[column:end]
