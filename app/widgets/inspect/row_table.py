"""The table of an engine's nodes or layers: it draws the visible lines only, however long it is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import set_cell_size
from rich.segment import Segment
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.state.prepare.engine_inspection import COLUMNS, cells, shape_text, used_columns
from app.widgets.marked_lists import marked
from engines.inspect.inspection import Row

SHORTEST_NAME, NAME_SHARE = 24, 0.45
"""Columns of the names: at least this many, and this part of the width."""
WIDTHS = {"bytes": 8, "time": 8, "precision": 9, "weights": 7}
"""Columns of what has always the same length."""
RIGHT = frozenset({"bytes", "time"})
LONGEST_KIND, SHAPE = 24, 40
GAP = "  "


class RowTable(ScrollView, can_focus=True):
    """Rows below a header that stays, with the columns that at least one of them fills, and a cursor."""

    COMPONENT_CLASSES = {"rows--header", "rows--cursor", "rows--odd"}  # noqa: RUF012
    DEFAULT_CSS = """
    RowTable {
        width: 100%;
        height: 1fr;
        scrollbar-size: 1 1;

        & > .rows--header {
            text-style: bold;
            background: $panel;
        }

        & > .rows--odd {
            background: $surface;
        }

        & > .rows--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
        }

        &:focus > .rows--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: $block-cursor-text-style;
        }
    }
    """
    cursor = reactive(0, init=False)
    """Index of the row under the cursor."""

    class Moved(Message):
        """The cursor is on another row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Row] = ()
        self._widths: dict[int, int] = {}
        """Width of each column that is shown, by its place in COLUMNS."""

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def show(self, rows: Sequence[Row]) -> None:
        """List other rows, with the cursor on the first one."""
        self.rows = rows
        self.set_reactive(RowTable.cursor, 0)
        self.scroll_to(0, 0, animate=False)
        self.fit()

    def fit(self) -> None:
        """Fit the columns into the width of the screen."""
        longest = {
            "name": min(
                max(SHORTEST_NAME, int(self.app.size.width * NAME_SHARE)),
                max((len(row.name) for row in self.rows), default=0),
            ),
            "kind": min(LONGEST_KIND, max((len(row.kind) for row in self.rows), default=0)),
            "shape": min(
                SHAPE, max((len(shape_text(shape)) for shape in {row.shape for row in self.rows}), default=0)
            ),
        }
        widths = WIDTHS | longest
        self._widths = {
            place: max(widths[COLUMNS[place]], len(COLUMNS[place])) for place in used_columns(self.rows)
        }
        width = sum(self._widths.values()) + len(GAP) * len(self._widths)
        self.virtual_size = Size(width, len(self.rows) + 1)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return a line: the header, a row, or an empty one below the last row."""
        index, left = self.scroll_offset.y + y - 1, self.scroll_offset.x
        if y == 0:
            return self._strip(list(COLUMNS), "rows--header", left)
        if index >= len(self.rows):
            return Strip.blank(self.size.width, self.rich_style)
        is_chosen = index == self.cursor
        part = "rows--cursor" if is_chosen else "rows--odd" if index % 2 else ""
        strip = self._strip(cells(self.rows[index]), part, left)
        return marked(strip, focused=self.has_focus) if is_chosen and not left else strip

    def _strip(self, texts: Sequence[str], part: str, left: int) -> Strip:
        line = " " + GAP.join(self._fitted(texts[place], place) for place in self._widths)
        style = self.get_component_rich_style(part) if part else self.rich_style
        strip = Strip([Segment(line, style)]).crop(left, left + self.size.width)
        return strip.extend_cell_length(self.size.width, style)

    def _fitted(self, text: str, place: int) -> str:
        width = self._widths[place]
        if place == 0:
            text = shortened(text, width)
        return text.rjust(width) if COLUMNS[place] in RIGHT else set_cell_size(text, width)

    def watch_cursor(self) -> None:
        """Show the cursor's row, and tell the screen."""
        # The header covers the first line: a row is visible below it.
        self.scroll_to_region(Region(self.scroll_offset.x, self.cursor, 1, 2), animate=False)
        self.refresh()
        self.post_message(self.Moved())

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a row."""
        return max(0, min(cursor, len(self.rows) - 1))

    def on_click(self, event: Click) -> None:
        """Move the cursor to the row that was clicked."""
        if event.y > 0 and (index := self.scroll_offset.y + event.y - 1) < len(self.rows):
            self.cursor = index

    def action_scroll_up(self) -> None:
        """Move the cursor: these keys are those of every container that scrolls."""
        self.cursor -= 1

    def action_scroll_down(self) -> None:
        """Move to the next row."""
        self.cursor += 1

    def action_page_up(self) -> None:
        """Move by a page."""
        self.cursor -= max(1, self.size.height - 2)

    def action_page_down(self) -> None:
        """Move by a page."""
        self.cursor += max(1, self.size.height - 2)

    def action_scroll_home(self) -> None:
        """Move to the first row."""
        self.cursor = 0

    def action_scroll_end(self) -> None:
        """Move to the last row."""
        self.cursor = len(self.rows) - 1


def shortened(text: str, width: int) -> str:
    """Return the text with at most `width` characters: the middle of a longer one is left out."""
    if len(text) <= width:
        return text
    start = (width - 1) // 3
    return f"{text[:start]}…{text[len(text) - (width - 1 - start) :]}"
