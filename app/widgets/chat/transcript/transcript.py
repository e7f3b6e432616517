"""The turns of one side as a scrolling widget that draws lines.

A widget for each paragraph would make every layout of the screen dearer with every answer; lines cost what
is in view.
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
from app.widgets.chat.transcript.brush import Line, LineRenderer
from app.widgets.chat.transcript.drawn_turn import RenderedTurn, line_offsets
from app.widgets.chat.transcript.markdown import Colours

MARGIN = " "


class Transcript(ScrollView, can_focus=True):
    """Lines of turns; the last one may be growing. It follows the newest text while its end is in view."""

    DEFAULT_CSS = """
    Transcript {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        background: transparent;
    }
    """
    HELP = """\
# The conversation

**N** and **P** mark a turn, or click it. Of the marked turn, or else of the last one:

* **C** copies the answer, **B** its last code block; a click on *copy* copies that block.
* **E** puts the prompt back into the box, to edit it and send it again.
* **R** asks again with another seed.
* **Left** and **Right** show its other versions; nothing is thrown away.
* **T** shows or folds what the model thought.

**End** goes to the newest text, which is then followed.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "mark(-1)", "Turn above", show=False, id="turn.above"),
        Binding("n", "mark(1)", "Turn below", show=False, id="turn.below"),
        Binding("c", "copy_answer", "Copy", id="turn.copy"),
        Binding("b", "copy_last_code", "Copy code", show=False, id="turn.copy-code"),
        Binding("e", "edit_turn", "Edit", id="turn.edit"),
        Binding("r", "again", "Again", id="turn.again"),
        Binding("left", "older", "Older version", show=False, id="turn.older"),
        Binding("right", "newer", "Newer version", show=False, id="turn.newer"),
        Binding("t", "thought", "Thought", show=False, id="turn.thought"),
    ]
    # A height of its content that changes needs no layout: it moves the scroll bar alone.
    virtual_size = Reactive(Size(0, 0), layout=False)

    @dataclass
    class EditRequested(Message):
        """The user wants to edit a prompt and send it again."""

        turn: Turn

    @dataclass
    class RegenerateRequested(Message):
        """The user wants another answer to a turn's prompt."""

        turn: Turn

    @dataclass
    class VersionRequested(Message):
        """The user wants to see the version before (-1) or after (+1) a turn."""

        turn: Turn
        step: int

    class TopReached(Message):
        """The user scrolled up as far as there is anything."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.turns: list[RenderedTurn] = []
        self._brush: LineRenderer | None = None
        self._lines: list[Line] = []
        self._tops: list[int] = [0]
        self._strips: LRUCache[int, Strip] = LRUCache(512)
        self._marked: RenderedTurn | None = None
        self.follows = True
        """Whether new text is followed: the end was in view when the user scrolled last."""

    def on_mount(self) -> None:
        """Draw anew when the theme changes."""
        self.app.theme_changed_signal.subscribe(self, self._repaint)

    def show(self, turns: list[RenderedTurn]) -> None:
        """Show these turns, and the end of them."""
        self.turns = turns
        if self._marked not in turns:
            self._mark(None)
        self._measure()
        self.follow()

    def show_above(self, turns: list[RenderedTurn]) -> None:
        """Add turns at the top; what is in view stays in view."""
        below = len(self._lines) - self.scroll_target_y
        self.turns, self.follows = turns + self.turns, False
        self._measure()
        self.scroll_to(y=len(self._lines) - below, animate=False)

    def grow(self) -> None:
        """The last turn has more text, or has ended."""
        if self._brush is None or not self.turns:
            return
        top, turn = self._tops[-2], self.turns[-1]
        turn.change()
        lines = turn.lines(self._brush)
        # One long paragraph is drawn anew each time, but most of its lines come out as they were.
        first = top + _same(self._lines[top:], lines)
        self._lines[first:] = lines[first - top :]
        self._tops[-1] = len(self._lines)
        self._forget(first)
        self._resize_content()
        self._keep_following()
        self.refresh_lines(first, max(1, self.scroll_offset.y + self.size.height - first))

    def redraw(self, turn: RenderedTurn) -> None:
        """Something about a turn changed; what is in view stays."""
        turn.change()
        self._measure()

    def follow(self) -> None:
        """Go to the newest text, and stay with it."""
        self.follows = True
        self._keep_following()

    def _keep_following(self) -> None:
        if self.follows:
            self.scroll_to(y=self.max_scroll_y, animate=False)

    def on_resize(self) -> None:
        """Lines are broken for the width at hand."""
        if self._brush is None or self._brush.width != self._text_width:
            self._repaint()
        self._keep_following()

    def _repaint(self, _: Theme | None = None) -> None:
        if self._text_width > 0:
            self._brush = LineRenderer(self.app.console, Colours(self.app.theme_variables), self._text_width)
            self._measure()

    @property
    def _text_width(self) -> int:
        return self.scrollable_content_region.width - len(MARGIN)

    def _measure(self) -> None:
        if self._brush is None:
            return
        self._tops = line_offsets(self.turns, self._brush)
        self._lines = [line for turn in self.turns for line in turn.lines(self._brush)]
        self._forget(0)
        self._resize_content()
        self._keep_following()
        self.refresh()

    def _resize_content(self) -> None:
        self.virtual_size = Size(self._text_width, len(self._lines))
        self.vertical_scrollbar.window_virtual_size = len(self._lines)
        self.vertical_scrollbar.window_size = self.size.height
        if self.scroll_y > self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False)

    def _forget(self, first: int) -> None:
        if first == 0:
            self._strips.clear()
        for row in [row for row in self._strips.keys() if row >= first]:  # noqa: SIM118 - it is no dict
            self._strips.discard(row)

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines in view as they were made; the usual way would make each anew, border or no border."""
        strips = [self.render_line(y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, self.background_colors[1]) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """The line at `y` of what is in view."""
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
        """The selected text, as it is on the screen."""
        text = "\n".join("".join(segment.text for segment in line).rstrip() for line in self._lines)
        return selection.extract(text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw what is selected now."""
        self.refresh()

    # Keys and clicks

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow while the end is in view; ask for older turns at the top."""
        super().watch_scroll_y(old_value, new_value)
        self.follows = self.scroll_target_y >= self.max_scroll_y
        if new_value <= 0 < old_value:
            self.post_message(self.TopReached())

    def on_blur(self) -> None:
        """A mark belongs to the keys, and those go elsewhere now."""
        self._mark(None)

    def on_click(self, event: events.Click) -> None:
        """Mark the turn that was clicked; a click on a word of ours then acts on it."""
        row = self.scroll_offset.y + event.y
        index = bisect_right(self._tops, row) - 1
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
        top, below = self._tops[index], self._tops[index + 1]
        if top < self.scroll_offset.y or below > self.scroll_offset.y + self.size.height:
            self.scroll_to(y=min(top, self.max_scroll_y), animate=False)

    def _mark(self, turn: RenderedTurn | None) -> None:
        if turn is self._marked:
            return
        for one, marked in ((self._marked, False), (turn, True)):
            if one:
                one.marked = marked
                one.change()
        self._marked = turn
        self._measure()

    @property
    def _chosen(self) -> RenderedTurn | None:
        return self._marked or (self.turns[-1] if self.turns else None)

    def action_copy_answer(self) -> None:
        """Copy the answer of the marked turn."""
        if (chosen := self._chosen) and chosen.turn.answer:
            self._copy(chosen.turn.answer, "the answer")
        else:
            self.notify("There is no answer to copy yet.")

    def action_copy_last_code(self) -> None:
        """Copy the last code block of the marked turn."""
        self.action_copy_code(-1)

    def action_copy_code(self, number: int) -> None:
        """Copy one code block of the marked turn."""
        codes = self._chosen.codes if self._chosen else []
        if codes and number < len(codes):
            self._copy(codes[number], "the code")
        else:
            self.notify("There is no finished code block to copy.")

    def _copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied {what}.")

    def action_edit_turn(self) -> None:
        """Edit the prompt of the marked turn."""
        if chosen := self._chosen:
            self.post_message(self.EditRequested(chosen.turn))

    def action_again(self) -> None:
        """Ask the marked turn's prompt again."""
        if chosen := self._chosen:
            self.post_message(self.RegenerateRequested(chosen.turn))

    def action_older(self) -> None:
        """Show the version before."""
        if chosen := self._chosen:
            self.post_message(self.VersionRequested(chosen.turn, -1))

    def action_newer(self) -> None:
        """Show the version after."""
        if chosen := self._chosen:
            self.post_message(self.VersionRequested(chosen.turn, +1))

    def action_thought(self) -> None:
        """Show or fold the thought of the marked turn."""
        if (chosen := self._chosen) and chosen.thinks:
            chosen.shows_thought = not chosen.shows_thought
            self.redraw(chosen)


def _same(before: list[Line], after: list[Line]) -> int:
    """How many lines at the top are the same."""
    pairs = zip(before, after, strict=False)
    return next((row for row, (old, new) in enumerate(pairs) if old != new), min(len(before), len(after)))


def _selected(line: Strip, span: tuple[int, int], style: Style) -> Strip:
    start, end = span[0], line.cell_length if span[1] == -1 else span[1]
    middle = Segment.apply_style(line.crop(start, end), None, style)
    return Strip([*line.crop(0, start), *middle, *line.crop(end)])
