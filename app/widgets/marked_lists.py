"""Lists whose chosen line has a mark, another one where the list has the focus: visible without colours."""

from __future__ import annotations

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Size
from textual.strip import Strip
from textual.widgets import DataTable, OptionList

FOCUSED, BLURRED = "❯", "›"


class MarkedOptionList(OptionList):
    """An option list with a mark in the padding before the highlighted option."""

    # Padding, a scrollbar and one cell: Textual cannot divide an option into lines of no width.
    DEFAULT_CSS = "MarkedOptionList { min-width: 6; }"

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the height for a width, which Textual may ask for before it applies the least one."""
        padding = self.get_component_styles("option-list--option").padding.width
        return super().get_content_height(container, viewport, max(width, padding + 1))

    def render_line(self, y: int) -> Strip:
        """Return a line of the list, with the mark where it is the first one of the highlighted option."""
        strip = super().render_line(y)
        line = self.scroll_offset.y + y
        # Private, but Textual's own subclass, the selection list, finds its lines in the same way.
        if line < len(self._lines) and self._lines[line] == (self.highlighted, 0):
            return marked(strip, focused=self.has_focus)
        return strip


class MarkedTable(DataTable[Text]):
    """A table with a row cursor and a mark in the padding before the row under it."""

    def render_line(self, y: int) -> Strip:
        """Return a line of the table, with the mark where it is the first one of the row under the cursor."""
        strip = super().render_line(y)
        if y < self.header_height or not self.is_valid_row_index(self.cursor_row):
            return strip
        top = self._get_row_region(self.cursor_row).y
        return marked(strip, focused=self.has_focus) if y + self.scroll_offset.y == top else strip


def marked(strip: Strip, *, focused: bool) -> Strip:
    """Return a line with the mark in its first cell, unless that is taken."""
    if not strip.text.startswith(" "):
        return strip
    style = next(segment.style for segment in strip if segment.text)
    mark = Strip([Segment(FOCUSED if focused else BLURRED, style)])
    return Strip.join([mark, strip.crop(1)])
