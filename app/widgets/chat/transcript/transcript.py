"""The turns of one side as one scrolling widget that draws lines.

With a widget per paragraph every screen layout would get slower with every answer. The cost of lines depends
only on how many are visible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

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
from app.widgets.chat.transcript.line_renderer import LineRenderer
from app.widgets.chat.transcript.markdown import Colours
from app.widgets.chat.transcript.rendered_turn import RenderedTurn
from app.widgets.chat.transcript.turn_lines import TurnLines

MARGIN = "  "
"""Left of the text, and not part of it: neither a selection nor a copy has what is drawn there."""
PROMPT_MARKS = ("❯ ", "┃ ")
"""In the margin of a prompt: of its first line and of the others."""
RULE = "─"
"""Fills the line between two turns."""


class Place(NamedTuple):
    """A position in a conversation, independent of how many lines its turns have."""

    turn: Turn
    share: float
    """Of the turn's lines, how many are above: 0 to 1."""


class Transcript(ScrollView, can_focus=True):
    """Lines of all turns, the last of which may be streaming; follows new text while its end is visible."""

    HELP = """\
# The conversation

A click or **P** and **N** mark a turn; the keys apply to it, or else to the last turn. All versions of an
answer are kept. **V** shades the answers by the probability that their own engine gives each token, until it
is pressed again; a click marks a token too, and its alternatives are listed below. **End** scrolls to the
newest text and follows it. **S** lets both sides scroll together: to the same place of the
same turn.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        # The footer shows them in this order.
        Binding("p", "mark(-1)", "Turn", id="turn.above", key_display="P N"),
        Binding("n", "mark(1)", "Turn below", show=False, id="turn.below"),
        Binding("c", "copy_answer", "Copy", id="turn.copy"),
        Binding("e", "edit_turn", "Edit", id="turn.edit"),
        Binding("r", "retry", "Retry", id="turn.retry"),
        Binding("left", "older", "Version", id="turn.older", key_display="←→"),
        Binding("right", "newer", "Newer version", show=False, id="turn.newer"),
        Binding("d", "compare", "Compare", id="turn.compare"),
        Binding("v", "shades", "Shades", id="turn.shades"),
        Binding("s", "screen.lock_scroll", "Scroll together", id="turn.scroll-together"),
        Binding("b", "copy_last_code", "Copy code", id="turn.copy-code"),
        Binding("t", "reasoning", "Reasoning", id="turn.reasoning"),
        Binding(
            "comma", "move_token(-1)", "Token before", key_display=",", show=False, id="turn.token-before"
        ),
        Binding(
            "full_stop", "move_token(1)", "Token after", key_display=".", show=False, id="turn.token-after"
        ),
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

    @dataclass
    class CompareRequested(Message):
        """The user asked to compare the engines on a turn."""

        turn: Turn

    @dataclass
    class ShadesRequested(Message):
        """The user asked to shade a turn's answers, or to show the text of all again."""

        turn: Turn
        shaded: bool
        """Whether the turn is shaded, and is to be shown as text."""

    @dataclass
    class Scrolled(Message):
        """The user scrolled: another place is at the top, or the end has been reached."""

        transcript: Transcript
        place: Place | None
        """None at the end, where new text is followed."""

    class TopReached(Message):
        """The user scrolled to the top."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.turns: list[RenderedTurn] = []
        self._renderer: LineRenderer | None = None
        self._lines = TurnLines()
        self._strips: LRUCache[int, Strip] = LRUCache(512)
        self._marked: RenderedTurn | None = None
        self._figures = True
        self._is_led = False
        """Whether it is being scrolled to the place of the other side."""
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
        self.turns[-1].change()
        first = self._lines.render_last(self.turns[-1], self._renderer)
        self._drop_strips(first)
        self._resize_content()
        self._keep_following()
        self.refresh_lines(first, max(1, self.scroll_offset.y + self.size.height - first))

    def show_figures(self, shown: bool) -> None:
        """Show the figures of each answer below it, or leave them out."""
        self._figures = shown
        self._repaint()

    def redraw(self, *turns: RenderedTurn) -> None:
        """Render turns again after their state changed, without moving the view."""
        for turn in turns:
            turn.change()
        self._render_turns()

    def show_token(self, turn: RenderedTurn) -> None:
        """Scroll to the marked token of a shaded turn, unless it is visible."""
        row = self._lines.rows(self.turns.index(turn))[0] + turn.token_row
        if not self.scroll_offset.y <= row < self.scroll_offset.y + self.size.height - 1:
            self.scroll_to(y=min(max(0, row - self.size.height // 2), self.max_scroll_y), animate=False)

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
                self.app.console,
                Colours(self.app.theme_variables),
                self._text_width,
                figures=self._figures,
            )
            self._render_turns()

    @property
    def _text_width(self) -> int:
        return self.scrollable_content_region.width - len(MARGIN)

    def _render_turns(self) -> None:
        if self._renderer is None:
            return
        self._lines.render(self.turns, self._renderer)
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
        margin, line = self._margin(row), self._drawn_line(row)
        if selection is not None and (span := selection.get_span(row)) is not None:
            line = _selected(line, span, self.screen.get_component_rich_style("screen--selection"))
        line = line.adjust_cell_length(width).apply_offsets(0, row)
        return Strip([margin, *line], width + len(MARGIN)).apply_style(style)

    def _margin(self, row: int) -> Segment:
        """Return the margin of a line: the mark of a prompt, or spaces."""
        index = self._lines.turn_at(row)
        if self._renderer is None or not 0 <= index < len(self.turns):
            return Segment(MARGIN)
        place = row - self._lines.rows(index)[0]
        if place >= self.turns[index].prompt_rows:
            return Segment(MARGIN)
        style = self._renderer.colours.style("text-primary", bold=True)
        return Segment(PROMPT_MARKS[min(place, 1)], style)

    def _drawn_line(self, row: int) -> Strip:
        """Return the line of a row; between two turns a rule, which the text has as an empty line."""
        line = self._lines.line(row)
        if self._renderer is None:  # drawn before it has a width: no turn has lines yet
            return Strip(line)
        index = self._lines.turn_at(row)
        between = 0 <= index < len(self.turns) - 1 and row + 1 == self._lines.rows(index)[1]
        if not between:
            return Strip(line)
        style = self._renderer.colours.style("part-border")
        return Strip([Segment(RULE * self._renderer.width, style)])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text as wrapped on screen."""
        return selection.extract(self._lines.text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Redraw with the new selection."""
        self.refresh()

    # Keys and clicks

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow while the end is visible; post `TopReached` at the top."""
        super().watch_scroll_y(old_value, new_value)
        before, self.follows = self.follows, self.scroll_target_y >= self.max_scroll_y
        if not self._is_led and not (before and self.follows):  # then new text was followed
            self.post_message(self.Scrolled(self, None if self.follows else self.place))
        if new_value <= 0 < old_value:
            self.post_message(self.TopReached())

    @property
    def place(self) -> Place | None:
        """Return what is at the top; None without turns."""
        row = self.scroll_offset.y
        index = self._lines.turn_at(row)
        if not 0 <= index < len(self.turns):
            return None
        top, below = self._lines.rows(index)
        return Place(self.turns[index].turn, (row - top) / (below - top))

    def lead_to(self, place: Place | None) -> None:
        """Scroll to a place of a turn that is shown here, or to the end, without saying so by `Scrolled`."""
        y: float = self.max_scroll_y
        if place is not None:
            index = next(index for index, one in enumerate(self.turns) if one.turn is place.turn)
            top, below = self._lines.rows(index)
            y = min(y, round(top + place.share * (below - top)))
        self._is_led = True
        try:
            self.scroll_to(y=y, animate=False, immediate=True)
        finally:
            self._is_led = False

    def on_blur(self) -> None:
        """Clear the mark: the keys that act on it need the focus."""
        self._mark(None)

    def on_click(self, event: events.Click) -> None:
        """Mark the clicked turn; the action of a clicked link runs afterwards."""
        index = self._lines.turn_at(self.scroll_offset.y + event.y)
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
        top, below = self._lines.rows(index)
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

    def action_compare(self) -> None:
        """Compare the engines on the marked turn."""
        if chosen := self._chosen:
            self.post_message(self.CompareRequested(chosen.turn))

    def action_shades(self) -> None:
        """Shade the marked turn's answer by probability, or show its text again."""
        if chosen := self._chosen:
            self.post_message(self.ShadesRequested(chosen.turn, chosen.shaded is not None))

    def action_move_token(self, step: int) -> None:
        """Mark the token before or after in the marked turn."""
        if (chosen := self._chosen) and chosen.shaded:
            self.action_mark_token(chosen.shaded.marked + step)

    def action_mark_token(self, token: int) -> None:
        """Mark a token of the marked turn."""
        if (chosen := self._chosen) and chosen.shaded:
            chosen.shaded.mark(token)
            self.redraw(chosen)
            self.show_token(chosen)

    def action_reasoning(self) -> None:
        """Show or fold the reasoning of the marked turn."""
        if (chosen := self._chosen) and chosen.has_reasoning:
            chosen.shows_reasoning = not chosen.shows_reasoning
            self.redraw(chosen)


def _selected(line: Strip, span: tuple[int, int], style: Style) -> Strip:
    start, end = span[0], line.cell_length if span[1] == -1 else span[1]
    middle = Segment.apply_style(line.crop(start, end), None, style)
    return Strip([*line.crop(0, start), *middle, *line.crop(end)])
