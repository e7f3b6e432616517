"""The prompt's text area: Enter sends, Ctrl+J starts a new line, Up and Down recall earlier prompts."""

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
    """A text area that posts its text on Enter and recalls earlier prompts."""

    HELP = """\
# Prompt

One prompt goes to both sides. An unsent draft is restored when the app starts again. An attached file is
sent before the prompt, fenced and with its name; a long paste becomes an attachment too. In an empty chat
**Down** goes through the suggested prompts.

A prompt that is sent while a side answers is **queued**, and sent when both answers are complete. **Esc**
stops the answers and puts queued prompts back here; **Up** in an empty prompt takes the last one back.

The border counts **tokens**: the prompt, its attachments and the conversation so far, as each engine's
tokenizer counts them, out of the engine's context window. A setting (F6) decides what happens when it is
full: the oldest turns are dropped, or the prompt is refused.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="prompt.send", show=True, priority=True),
        Binding(
            "ctrl+j,alt+enter,shift+enter",
            "newline",
            "New line",
            id="prompt.newline",
            show=False,
            priority=True,
        ),
    ]

    @dataclass
    class Sent(Message):
        """The user pressed Enter."""

        text: str

    @dataclass
    class PastedLong(Message):
        """The user pasted a text that is too long for the text area."""

        text: str

    class QueuedRequested(Message):
        """The user pressed Up in an empty prompt while prompts are queued."""

    class BackspaceAtStart(Message):
        """The user pressed Backspace in an empty prompt."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            placeholder="Ask both sides. Enter sends, Ctrl+J starts a new line.",
        )
        self.earlier = PromptHistory()
        self.has_queued = False
        """Whether prompts wait for the end of the answers."""
        self._counted = ""

    # Priority bindings run immediately, ahead of keys still in this widget's message queue. The two
    # actions below go through the queue, so that text typed before Enter is there when Enter sends it.

    @property
    def can_redo(self) -> bool:
        """Whether Ctrl+Z has undone something that can be redone."""
        return bool(self.history._redo_stack)  # Textual has no public name for it

    def action_send(self) -> None:
        """Send the text."""
        self.call_later(self._send)

    def action_newline(self) -> None:
        """Start a new line."""
        self.call_later(self.insert, "\n")

    def _send(self) -> None:
        self.post_message(self.Sent(self.text.strip()))

    def write(self, text: str) -> None:
        """Replace the text and move the cursor to its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def show_count(self, counted: Mapping[str, TokensCounted], full: ContextFull) -> None:
        """Show the share of the context window in the border; nothing if `counted` is empty."""
        words = context_words(counted, full) if counted else ""
        if words != self._counted:  # setting the border repaints it
            self._counted, self.border_subtitle = words, Content(words)
            level = context_level(counted, full)
            self.set_class(level is ContextLevel.NEAR, "-near")
            self.set_class(level is ContextLevel.OVER, "-over")

    def on_paste(self, event: events.Paste) -> None:
        """Post a long paste as a message instead of inserting it."""
        if is_long(event.text):
            event.prevent_default()
            event.stop()
            self.post_message(self.PastedLong(event.text))

    def action_paste(self) -> None:
        """Paste the app's clipboard."""
        if is_long(self.app.clipboard):
            self.post_message(self.PastedLong(self.app.clipboard))
        else:
            super().action_paste()

    def on_key(self, event: events.Key) -> None:
        """Recall earlier prompts with Up and Down at the edges of the text; inside it the arrows move."""
        cursor = self.cursor_location
        first, last = self.navigator.is_first_document_line, self.navigator.is_last_document_line
        if event.key == "up" and self.has_queued and not self.text:
            event.prevent_default()
            event.stop()
            self.post_message(self.QueuedRequested())
        elif event.key == "up" and first(cursor) and self.navigator.is_first_wrapped_line(cursor):
            self._recall(-1, event)
        elif event.key == "down" and last(cursor) and self.navigator.is_last_wrapped_line(cursor):
            self._recall(+1, event)
        elif event.key == "backspace" and not self.text:
            event.stop()  # the attachment focused next would handle the same key
            self.post_message(self.BackspaceAtStart())

    def _recall(self, step: int, event: events.Key) -> None:
        if (text := self.earlier.walk(step, self.text)) is not None:
            event.prevent_default()
            event.stop()
            self.write(text)
