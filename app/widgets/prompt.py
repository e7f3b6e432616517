"""The box where prompts are written: Enter sends, Ctrl+J starts a new line, Up and Down recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea


class Prompt(TextArea):
    """A text area that sends its text."""

    HELP = """\
# Prompt

One prompt goes to both sides. **Enter** sends it, **Ctrl+J** (or Shift+Enter, where the terminal
tells it apart) starts a new line, **Up** and **Down** recall earlier prompts.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="prompt.send", show=True, priority=True),
        Binding("ctrl+j,shift+enter", "newline", "New line", id="prompt.newline", show=False, priority=True),
    ]

    @dataclass
    class Sent(Message):
        """The user sent a prompt."""

        text: str

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            placeholder="Ask both sides. Enter sends, Ctrl+J starts a new line.",
        )
        self._history: list[str] = []
        self._recalled = 0

    # Priority bindings run at once, ahead of the keys that still wait in this widget's queue. The two
    # below join the queue, so that what was typed before Enter is there when Enter sends it.

    def action_send(self) -> None:
        """Send the text, unless there is none."""
        self.call_later(self._send)

    def action_newline(self) -> None:
        """Start a new line."""
        self.call_later(self.insert, "\n")

    def _send(self) -> None:
        if text := self.text.strip():
            self.post_message(self.Sent(text))

    def accept(self) -> None:
        """The prompt was taken: remember it and empty the box."""
        if text := self.text.strip():
            self._history.append(text)
        self._recalled = len(self._history)
        self.clear()

    def on_key(self, event: events.Key) -> None:
        """Recall at the edges of the text, so that arrows still move inside it."""
        row, last = self.cursor_location[0], self.document.line_count - 1
        if event.key == "up" and row == 0:
            self._recall(-1, event)
        elif event.key == "down" and row == last:
            self._recall(+1, event)

    def _recall(self, step: int, event: events.Key) -> None:
        wanted = self._recalled + step
        if not 0 <= wanted <= len(self._history):
            return
        event.prevent_default()
        event.stop()
        self._recalled = wanted
        self.load_text(self._history[wanted] if wanted < len(self._history) else "")
        self.move_cursor(self.document.end)
