"""Two answers without names, side by side; they scroll together."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from app.terminal_text import displayable


class BlindText(VerticalScroll):
    """A text from a user or a model, which scrolls."""

    def compose(self) -> ComposeResult:
        """The text."""
        yield Static()

    def show(self, title: str, text: str) -> None:
        """Show a text from its beginning; the same text keeps its place."""
        self.border_title = Content(displayable(title))
        content = Content(displayable(text))
        shown = self.query_one(Static)
        if shown.content != content:
            shown.update(content)
            self.scroll_home(animate=False, immediate=True)


class BlindAnswer(BlindText):
    """One of the two answers."""

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scroll the other answer too."""
        super().watch_scroll_y(old_value, new_value)
        if isinstance(self.parent, BlindAnswers):
            self.parent.scroll_both(new_value)


class BlindAnswers(Horizontal):
    """A and B."""

    def compose(self) -> ComposeResult:
        """Create both, empty."""
        yield BlindAnswer(id="blind-a")
        yield BlindAnswer(id="blind-b")

    def show(self, titles: tuple[str, str], texts: tuple[str, str], keys: tuple[str, str]) -> None:
        """Show two answers, and below each the key that votes for it."""
        for answer, title, text, key in zip(self.query(BlindAnswer), titles, texts, keys, strict=True):
            answer.show(title, text)
            answer.border_subtitle = Content(key)

    def scroll_both(self, y: float) -> None:
        """Scroll both answers to the same line."""
        for answer in self.query(BlindAnswer):
            if answer.scroll_y != y:
                answer.scroll_to(y=y, animate=False, immediate=True)
