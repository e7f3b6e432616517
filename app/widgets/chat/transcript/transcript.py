"""The turns of one side as one scrolling widget that draws lines.

With a widget per paragraph every screen layout would get slower with every answer. The cost of lines depends
only on how many are visible.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.theme import Theme

from app.state.conversation.conversation import Turn
from app.widgets.chat.transcript.line_renderer import Line, LineRenderer
from app.widgets.chat.transcript.markdown import Colours
from app.widgets.chat.transcript.rendered_turn import RenderedTurn, line_offsets

MARGIN = " "


class Transcript(ScrollView, can_focus=True):
    """Lines of all turns, the last of which may be streaming; follows new text while its end is visible."""

    HELP = """\
# The conversation

**N** and **P** or a click mark a turn. The keys below apply to the marked turn, or else to the last one:

* **C** copies the answer, **B** its last code block; a click on *copy* copies that block.
* **E** loads the prompt for editing; Enter sends it again.
* **R** generates another answer, with another seed.
* **Left** and **Right** show the turn's other versions; all are kept.
* **T** shows or folds the model's reasoning.

**End** scrolls to the newest text and follows it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "mark(-1)", "Turn above", show=False, id="turn.above"),
        Binding("n", "mark(1)", "Turn below", show=False, id="turn.below"),
        Binding("c", "copy_answer", "Copy", id="turn.copy"),
        Binding("b", "copy_last_code", "Copy code", show=False, id="turn.copy-code"),
        Binding("e", "edit_turn", "Edit", id="turn.edit"),
        Binding("r", "retry", "Retry", id="turn.retry"),
        Binding("left", "older", "Older version", show=False, id="turn.older"),
        Binding("right", "newer", "Newer version", show=False, id="turn.newer"),
        Binding("t", "reasoning", "Reasoning", show=False, id="turn.reasoning"),
    ]
    # A change of the content's height needs no layout; only the scroll bar moves.
    virtual_size = Reactive(Size(0, 0), layout=False)

    @dataclass
    class EditRequested(Message):
        """The user asked to edit a turn's prompt."""

        turn: Turn

    @dataclass
    class RegenerateRequested(Message):
        """The user asked for another answer to a turn's prompt."""

        turn: Turn

    @dataclass
    class VersionRequested(Message):
        """The user asked for the version before (step -1) or after (step +1) a turn."""

        turn: Turn
        step: int

    class TopReached(Message):
        """The user scrolled to the top."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.turns: list[RenderedTurn] = []
        self._renderer: LineRenderer | None = None
        self._lines: list[Line] = []
        self._offsets: list[int] = [0]
        """First line of each turn, then the number of lines."""
        self._strips: LRUCache[int, Strip] = LRUCache(512)
        self._marked: RenderedTurn | None = None
        self.follows = True
        """Whether to scroll with new text: the end was visible when the user last scrolled."""

    def on_mount(self) -> None:
        """Render again when the theme changes."""
        self.app.theme_changed_signal.subscribe(self, self._repaint)

    def show(self, turns: list[RenderedTurn]) -> None:
        """Show these turns and scroll to their end."""
        self.turns = turns
        if self._marked not in turns:
            self._mark(None)
        self._render_turns()
        self.follow()

    def show_above(self, turns: list[RenderedTurn]) -> None:
        """Add turns at the top without moving the view."""
        below = len(self._lines) - self.scroll_target_y
        self.turns, self.follows = turns + self.turns, False
        self._render_turns()
        self.scroll_to(y=len(self._lines) - below, animate=False)

    def grow(self) -> None:
        """Render the last turn again, after more text arrived or it ended."""
        if self._renderer is None or not self.turns:
            return
        top, turn = self._offsets[-2], self.turns[-1]
        turn.change()
        lines = turn.lines(self._renderer)
        # A long paragraph is rendered again each time, but most of its lines do not change.
        first = top + _equal_lines(self._lines[top:], lines)
        self._lines[first:] = lines[first - top :]
        self._offsets[-1] = len(self._lines)
        self._drop_strips(first)
        self._resize_content()
        self._keep_following()
        self.refresh_lines(first, max(1, self.scroll_offset.y + self.size.height - first))

    def redraw(self, turn: RenderedTurn) -> None:
        """Render a turn again after its state changed, without moving the view."""
        turn.change()
        self._render_turns()

    def follow(self) -> None:
        """Scroll to the newest text and follow it."""
        self.follows = True
        self._keep_following()

    def _keep_following(self) -> None:
        if self.follows:
            self.scroll_to(y=self.max_scroll_y, animate=False)

    def on_resize(self) -> None:
        """Wrap the lines again if the width changed."""
        if self._renderer is None or self._renderer.width != self._text_width:
            self._repaint()
        self._keep_following()

    def _repaint(self, _: Theme | None = None) -> None:
        if self._text_width > 0:
            self._renderer = LineRenderer(
                self.app.console, Colours(self.app.theme_variables), self._text_width
            )
            self._render_turns()

    @property
    def _text_width(self) -> int:
        return self.scrollable_content_region.width - len(MARGIN)

    def _render_turns(self) -> None:
        if self._renderer is None:
            return
        self._offsets = line_offsets(self.turns, self._renderer)
        self._lines = [line for turn in self.turns for line in turn.lines(self._renderer)]
        self._drop_strips(0)
        self._resize_content()
        self._keep_following()
        self.refresh()

    def _resize_content(self) -> None:
        self.virtual_size = Size(self._text_width, len(self._lines))
        self.vertical_scrollbar.window_virtual_size = len(self._lines)
        self.vertical_scrollbar.window_size = self.size.height
        if self.scroll_y > self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False)

    def _drop_strips(self, first: int) -> None:
        """Drop the cached strips from row `first` on."""
        if first == 0:
            self._strips.clear()
        for row in [row for row in self._strips.keys() if row >= first]:  # noqa: SIM118 - not a dict
            self._strips.discard(row)

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the cached strips of the visible lines; Textual's method would render every line again."""
        strips = [self.render_line(y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, self.background_colors[1]) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """Return the visible line at `y`."""
        row = self.scroll_offset.y + y
        selection = self.text_selection
        if selection is not None:
            return self._strip(row, selection)
        if row not in self._strips:
            self._strips[row] = self._strip(row, None)
        return self._strips[row]

    def _strip(self, row: int, selection: Selection | None) -> Strip:
        style, width = self.rich_style, self.size.width - len(MARGIN)
        line = Strip(self._lines[row] if 0 <= row < len(self._lines) else [])
        if selection is not None and (span := selection.get_span(row)) is not None:
            line = _selected(line, span, self.screen.get_component_rich_style("screen--selection"))
        line = line.apply_style(style).adjust_cell_length(width, style).apply_offsets(0, row)
        return Strip([Segment(MARGIN, style), *line], width + len(MARGIN))

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text as wrapped on screen."""
        text = "\n".join("".join(segment.text for segment in line).rstrip() for line in self._lines)
        return selection.extract(text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Redraw with the new selection."""
        self.refresh()

    # Keys and clicks

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow while the end is visible; post `TopReached` at the top."""
        super().watch_scroll_y(old_value, new_value)
        self.follows = self.scroll_target_y >= self.max_scroll_y
        if new_value <= 0 < old_value:
            self.post_message(self.TopReached())

    def on_blur(self) -> None:
        """Clear the mark: the keys that act on it need the focus."""
        self._mark(None)

    def on_click(self, event: events.Click) -> None:
        """Mark the clicked turn; the action of a clicked link runs afterwards."""
        row = self.scroll_offset.y + event.y
        index = bisect_right(self._offsets, row) - 1
        if 0 <= index < len(self.turns):
            self._mark(self.turns[index])

    def action_mark(self, step: int) -> None:
        """Mark the turn above or below."""
        if not self.turns:
            return
        index = self.turns.index(self._marked) + step if self._marked else len(self.turns) - 1
        if not 0 <= index < len(self.turns):
            return
        self._mark(self.turns[index])
        top, below = self._offsets[index], self._offsets[index + 1]
        if top < self.scroll_offset.y or below > self.scroll_offset.y + self.size.height:
            self.scroll_to(y=min(top, self.max_scroll_y), animate=False)

    def _mark(self, turn: RenderedTurn | None) -> None:
        if turn is self._marked:
            return
        for changed, marked in ((self._marked, False), (turn, True)):
            if changed:
                changed.marked = marked
                changed.change()
        self._marked = turn
        self._render_turns()

    @property
    def _chosen(self) -> RenderedTurn | None:
        """Return the marked turn, else the last one."""
        return self._marked or (self.turns[-1] if self.turns else None)

    def action_copy_answer(self) -> None:
        """Copy the answer of the marked turn."""
        if (chosen := self._chosen) and chosen.turn.answer:
            self._copy(chosen.turn.answer, "the answer")
        else:
            self.notify("No answer to copy yet.")

    def action_copy_last_code(self) -> None:
        """Copy the last code block of the marked turn."""
        self.action_copy_code(-1)

    def action_copy_code(self, number: int) -> None:
        """Copy one code block of the marked turn."""
        codes = self._chosen.codes if self._chosen else []
        if codes and number < len(codes):
            self._copy(codes[number], "the code")
        else:
            self.notify("No complete code block to copy.")

    def _copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied {what}.")

    def action_edit_turn(self) -> None:
        """Edit the prompt of the marked turn."""
        if chosen := self._chosen:
            self.post_message(self.EditRequested(chosen.turn))

    def action_retry(self) -> None:
        """Request another answer to the marked turn's prompt."""
        if chosen := self._chosen:
            self.post_message(self.RegenerateRequested(chosen.turn))

    def action_older(self) -> None:
        """Show the previous version of the marked turn."""
        if chosen := self._chosen:
            self.post_message(self.VersionRequested(chosen.turn, -1))

    def action_newer(self) -> None:
        """Show the next version of the marked turn."""
        if chosen := self._chosen:
            self.post_message(self.VersionRequested(chosen.turn, +1))

    def action_reasoning(self) -> None:
        """Show or fold the reasoning of the marked turn."""
        if (chosen := self._chosen) and chosen.has_reasoning:
            chosen.shows_reasoning = not chosen.shows_reasoning
            self.redraw(chosen)


def _equal_lines(before: list[Line], after: list[Line]) -> int:
    """Return the number of leading lines that are equal."""
    pairs = zip(before, after, strict=False)
    return next((row for row, (old, new) in enumerate(pairs) if old != new), min(len(before), len(after)))


def _selected(line: Strip, span: tuple[int, int], style: Style) -> Strip:
    start, end = span[0], line.cell_length if span[1] == -1 else span[1]
    middle = Segment.apply_style(line.crop(start, end), None, style)
    return Strip([*line.crop(0, start), *middle, *line.crop(end)])
