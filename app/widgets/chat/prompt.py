"""The box where prompts are written: Enter sends, Ctrl+J starts a new line, Up and Down recall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea

from app.state.conversation.attachment import is_long
from app.state.conversation.context_usage import ContextLevel, context_level, context_words
from app.state.conversation.prompt_history import PromptHistory
from app.state.settings.settings import ContextFull
from engines.worker.protocol import TokensCounted


class PromptInput(TextArea):
    """A text area that sends its text."""

    HELP = """\
# Prompt

One prompt goes to both sides. **Enter** sends it, **Ctrl+J** (or Shift+Enter, where the terminal
tells it apart) starts a new line, **Up** and **Down** recall earlier prompts, also those of earlier
runs. What is not sent is there again when the app is opened the next time.

**Ctrl+O** attaches a text file. It stands above the box and goes before the prompt, fenced and with
its name. A long paste becomes one too. **Shift+Tab** goes to what is attached: **Delete** takes it
away, **Enter** puts a paste back into the box as text.

The border counts **tokens**: the prompt, what is attached and everything said before, as each engine
would get it, of the context that the engine holds. What happens at its end is a setting (F6): the
oldest turns are left out, or the prompt is refused.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="prompt.send", show=True, priority=True),
        Binding("ctrl+j,shift+enter", "newline", "New line", id="prompt.newline", show=False, priority=True),
    ]

    @dataclass
    class Sent(Message):
        """The user sent what is in the box."""

        text: str

    @dataclass
    class PastedLong(Message):
        """The user pasted more than the box should hold."""

        text: str

    class BackspaceAtStart(Message):
        """The user pressed Backspace in an empty box."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            placeholder="Ask both sides. Enter sends, Ctrl+J starts a new line.",
        )
        self.earlier = PromptHistory()
        self._counted = ""

    # Priority bindings run at once, ahead of the keys that still wait in this widget's queue. The two
    # below join the queue, so that what was typed before Enter is there when Enter sends it.

    def action_send(self) -> None:
        """Send the text."""
        self.call_later(self._send)

    def action_newline(self) -> None:
        """Start a new line."""
        self.call_later(self.insert, "\n")

    def _send(self) -> None:
        self.post_message(self.Sent(self.text.strip()))

    def write(self, text: str) -> None:
        """Put a text into the box, in place of what is there."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def show_count(self, counted: Mapping[str, TokensCounted], full: ContextFull) -> None:
        """Say in the border how much of the context it would take; without figures, nothing."""
        words = context_words(counted, full) if counted else ""
        if words != self._counted:  # a border that is set is drawn again
            self._counted, self.border_subtitle = words, Content(words)
            tight = context_level(counted, full)
            self.set_class(tight is ContextLevel.NEAR, "-near")
            self.set_class(tight is ContextLevel.OVER, "-over")

    def on_paste(self, event: events.Paste) -> None:
        """Keep what is long out of the box."""
        if is_long(event.text):
            event.prevent_default()
            event.stop()
            self.post_message(self.PastedLong(event.text))

    def action_paste(self) -> None:
        """Paste what was copied in the app."""
        if is_long(self.app.clipboard):
            self.post_message(self.PastedLong(self.app.clipboard))
        else:
            super().action_paste()

    def on_key(self, event: events.Key) -> None:
        """Recall at the edges of the text, so that arrows still move inside it."""
        place = self.cursor_location
        first, last = self.navigator.is_first_document_line, self.navigator.is_last_document_line
        if event.key == "up" and first(place) and self.navigator.is_first_wrapped_line(place):
            self._recall(-1, event)
        elif event.key == "down" and last(place) and self.navigator.is_last_wrapped_line(place):
            self._recall(+1, event)
        elif event.key == "backspace" and not self.text:
            event.stop()  # else it would be the attachment's key too, which has the focus by then
            self.post_message(self.BackspaceAtStart())

    def _recall(self, step: int, event: events.Key) -> None:
        if (text := self.earlier.walk(step, self.text)) is not None:
            event.prevent_default()
            event.stop()
            self.write(text)
