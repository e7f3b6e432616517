"""The reference's answer, each token shaded by how far an engine's probabilities are from the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.widgets.tokens.token_lines import Piece, place_of, token_at, token_lines
from app.widgets.tokens.token_text import signed

OTHER_TOP = "◆"
"""Shown before a token in whose place the engine expects another one."""
LEGEND = "KLD ¹ 0.01–0.1  ² 0.1–1  ³ over 1"


@dataclass(frozen=True)
class ShownToken:
    """A token and how it is shown."""

    text: str
    shade: int
    """0 to 3."""
    other_top: bool

    @property
    def marked(self) -> str:
        """The text with the signs of its shade; line breaks stay last."""
        return f"{OTHER_TOP if self.other_top else ''}{signed(self.text, self.shade)}"


class AnswerHeat(ScrollView, can_focus=True):
    """A text with a cursor on one token."""

    HELP = """\
# Compare

Every engine reads the **reference's answer** and says what it would expect at each token. The shade of a
token is the KL divergence of the engine's next-token probabilities from the reference's (¹ from 0.01 nats,
² from 0.1, ³ from 1); ◆ marks a token in whose place the engine's most likely token is another one.

**V** shades by the engine's own probability of each token instead: where it was unsure.

* **Left** and **Right** move the token, **N** and **Shift+N** to the next or previous ◆.
* **Up** and **Down** choose the engine, **A** adds one from the engine store, **Delete** removes it.
* **=** makes the engine the reference, which then answers the prompt itself.
* **B** lets the engine continue from another token: a branch, kept as a version of the turn.
* **F** shows what each engine wrote on its own, and the branches.
* **[** and **]** go to the previous or next prompt, **P** takes others: those that ship, or a file.
* **R** measures again, **E** writes a report and **O** opens one, **Esc** stops or goes back.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Token", key_display="←→"),
        Binding("right", "move(1)", show=False),
        Binding("ctrl+left", "move(-10)", show=False),
        Binding("ctrl+right", "move(10)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"heat--1", "heat--2", "heat--3", "heat--cursor"}
    DEFAULT_CSS = """
    AnswerHeat {
        .heat--1 { background: $warning 18%; }
        .heat--2 { background: $warning 42%; }
        .heat--3 { background: $warning; color: auto 95%; }
        .heat--cursor { background: $primary; color: auto 95%; text-style: bold; }
    }
    """

    @dataclass
    class Moved(Message):
        """The cursor is on another token."""

        token: int

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.cursor = 0
        """Index of the token under the cursor."""
        self._tokens: Sequence[ShownToken] = ()
        self._lines: list[list[Piece]] = []
        self._width = 0

    def show(self, tokens: Sequence[ShownToken]) -> None:
        """Show these tokens; the cursor stays where it is, if there is such a token."""
        self._tokens = tokens
        self.cursor = max(0, min(self.cursor, len(tokens) - 1))
        self._wrap()

    def move_to(self, token: int) -> None:
        """Move the cursor to a token, or to the nearest end."""
        token = max(0, min(token, len(self._tokens) - 1))
        if self._tokens and token != self.cursor:
            self.cursor = token
            self.post_message(self.Moved(token))
        self._show_cursor()
        self.refresh()

    def action_move(self, step: int) -> None:
        """Move the cursor by some tokens."""
        self.move_to(self.cursor + step)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the token that was clicked."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        found = token_at(self._lines, self.scroll_offset.y + offset.y, offset.x)
        if found is not None:
            self.move_to(found)

    def on_resize(self) -> None:
        """Wrap again if the width changed."""
        if self._width != self.scrollable_content_region.width:
            self._wrap()

    def _wrap(self) -> None:
        self._width = self.scrollable_content_region.width
        if self._width < 2:
            return
        self._lines = token_lines([token.marked for token in self._tokens], self._width)
        self.virtual_size = Size(self._width, len(self._lines))
        self._show_cursor()
        self.refresh()

    def _show_cursor(self) -> None:
        row, _ = place_of(self._lines, self.cursor)
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if row < top or row >= top + height:
            self.scroll_to(y=max(0, row - height // 2), animate=False)

    def render_line(self, y: int) -> Strip:
        """Return the visible line at `y`."""
        row, base = self.scroll_offset.y + y, self.rich_style
        pieces = self._lines[row] if 0 <= row < len(self._lines) else []
        segments = [Segment(piece.text, base + self._style(piece.token)) for piece in pieces]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _style(self, token: int) -> Style:
        if token == self.cursor:
            return self.get_component_rich_style("heat--cursor")
        shade = self._tokens[token].shade
        return self.get_component_rich_style(f"heat--{shade}") if shade else Style.null()
