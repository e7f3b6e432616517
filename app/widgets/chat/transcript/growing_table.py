"""A table whose rows are drawn once each while it grows, and again only where a column becomes wider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it.token import Token
from markdown_it.utils import EnvType
from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from app.widgets.chat.transcript.block_margin import BlockMargin
from app.widgets.chat.transcript.blocks import Block
from app.widgets.chat.transcript.inline_text import inline_text
from app.widgets.chat.transcript.line_renderer import BLANK, Line, LineRenderer

GAP = "  "
"""Between two columns."""
RULE = "─"
FEW = 16
"""Rows up to which one that is not complete makes columns wider too. Half of `**bold**` is wider than all of
it, and each change of a width draws all rows again."""
SIDES: tuple[JustifyMethod, ...] = ("left", "center", "right")


@dataclass(frozen=True)
class _Cell:
    text: Text
    line: Line
    """The text in one line."""
    width: int
    """Cells of its longest line."""
    height: int


class GrowingTable:
    """The header and the rows of a table, and their lines."""

    def __init__(self, margin: BlockMargin, renderer: LineRenderer) -> None:
        """Begin a table in the colours of the renderer's theme."""
        self._margin, self._renderer = margin, renderer
        self._sides: list[JustifyMethod] = []
        """How each column is aligned."""
        self._wishes: list[int] = []
        """Cells of the longest text of each column."""
        self._widths: list[int] = []
        """Cells of each column as drawn."""
        self._rows: list[list[_Cell]] = []
        """The cells of the header and of the complete rows."""
        self._drawn: list[list[Line]] = []
        """The lines of those rows."""
        self._begun: list[list[_Cell]] = []
        """The cells of the rows that are not complete."""
        self.drawings = 0
        """How many rows have been drawn."""

    def add(self, block: Block, env: EnvType, complete: int | None = None) -> int:
        """Add the complete rows of a table, without those added before.

        Args:
            block: The table.
            env: The link definitions.
            complete: How many lines from the block's first one on are complete; all if None.

        Returns:
            How many of its lines need not be read again.
        """
        header, *rows = _rows(block.tokens)
        if not self._rows:
            self._sides = [_side(cell) for cell in header]
            self._wishes = [1] * len(header)
            self._keep(self._cells(header, env, "table.header"))
        added = len(rows) if complete is None else max(0, complete - block.head)
        for row in rows[:added]:
            self._keep(self._cells(row, env))
        self._begun = [self._cells(row, env) for row in rows[added:]]
        return 0 if complete is not None and complete < block.head else block.head + min(added, len(rows))

    def lines(self) -> list[Line]:
        """Return the lines of the header, a rule, and the lines of the rows."""
        wishes = self._wishes
        for cells in self._begun if len(self._rows) <= FEW else ():
            wishes = self._wider(wishes, cells)
        self._layout(wishes)
        head, *body = (*self._drawn, *map(self._row, self._begun))
        style = self._margin.base + self._renderer.styles.style("table.border")
        rule: Line = [*self._margin.rest, Segment(f" {RULE * (self._total - 2)}", style)]
        return [*head, rule, *(line for row in body for line in row)]

    def _cells(self, row: Sequence[Token], env: EnvType, style: str = "") -> list[_Cell]:
        base = self._margin.base + (self._renderer.styles.style(style) if style else Style())
        texts = [inline_text(cell.content, self._renderer.styles, env, base) for cell in row]
        return [self._measured(text, side) for text, side in zip(texts, self._sides, strict=True)]

    def _measured(self, text: Text, side: JustifyMethod) -> _Cell:
        text.justify = side
        lines = text.plain.split("\n")
        line = list(text.render(self._renderer.console))
        return _Cell(text, line, max(map(cell_len, lines)), len(lines))

    def _keep(self, cells: list[_Cell]) -> None:
        self._rows.append(cells)
        self._wishes = self._wider(self._wishes, cells)

    def _wider(self, wishes: list[int], cells: list[_Cell]) -> list[int]:
        pairs = zip(wishes, cells, strict=True)
        return [max(wish, min(self._margin.width, cell.width)) for wish, cell in pairs]

    @property
    def _total(self) -> int:
        return sum(self._widths) + len(GAP) * (len(self._widths) - 1) + 2

    def _layout(self, wishes: list[int]) -> None:
        """Draw the rows that are not drawn yet; all of them if the widths have changed."""
        space = self._margin.width - len(GAP) * (len(wishes) - 1) - 2
        if (widths := _fitted(wishes, space)) != self._widths:
            self._widths, self._drawn = widths, []
        self._drawn += [self._row(cells) for cells in self._rows[len(self._drawn) :]]

    def _row(self, cells: list[_Cell]) -> list[Line]:
        """Return the lines of one row: as many as its longest cell needs."""
        self.drawings += 1
        columns = [self._cell(*of) for of in zip(cells, self._widths, self._sides, strict=True)]
        height = max(len(column) for column in columns)
        lines = ([column[row] if row < len(column) else BLANK for column in columns] for row in range(height))
        first = self._margin.first if cells is self._rows[0] else self._margin.rest
        return [self._line(line, self._margin.rest if row else first) for row, line in enumerate(lines)]

    def _cell(self, cell: _Cell, width: int, side: JustifyMethod) -> list[Line]:
        fits = cell.width <= width and cell.height == 1
        if fits:
            return [_aligned(cell.line, width - cell.width, side)]
        lines = self._renderer.lines(cell.text, width)
        return [_aligned(line, width - Segment.get_line_length(line), side) for line in lines]

    def _line(self, parts: list[Line], margin: Line) -> Line:
        """Return the parts of the columns side by side; cut where there are more columns than cells."""
        line: Line = [Segment(" ")]
        for index, (part, width) in enumerate(zip(parts, self._widths, strict=True)):
            line += [Segment(GAP)] if index else []
            line += part or [Segment(" " * width)]
        if self._total > self._margin.width:
            line = Segment.adjust_line_length(line, self._margin.width, pad=False)
        return [*margin, *line]


def _rows(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the tokens of the cells' texts by row; each has the alignment of its cell."""
    rows: list[list[Token]] = []
    for before, token in pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            token.attrs = dict(before.attrs)
            rows[-1].append(token)
    return rows


def _side(cell: Token) -> JustifyMethod:
    style = str(cell.attrs.get("style", ""))
    return next((side for side in SIDES if style.endswith(side)), "left")


def _aligned(line: Line, space: int, side: JustifyMethod) -> Line:
    """Return a line with as many empty cells around it."""
    left = {"center": space // 2, "right": space}.get(side, 0)
    return [Segment(" " * left), *line, Segment(" " * (space - left))] if space else line


def _fitted(wishes: list[int], space: int) -> list[int]:
    """Return the widths of the columns; where they do not fit, the widest ones share what is left."""
    widths = list(wishes)
    open_columns = sorted(range(len(wishes)), key=lambda column: wishes[column])
    for done, column in enumerate(open_columns):
        share = max(1, space // (len(open_columns) - done))
        widths[column] = min(wishes[column], share)
        space -= widths[column]
    return widths
