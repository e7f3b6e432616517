"""The prompt box of a blind vote."""

from __future__ import annotations

from textual import on

from app.terminal_text import displayable
from app.widgets.chat.prompt import PromptInput


class BlindPrompt(PromptInput):
    """Asks both engines. Attachments are sent from the chat: a long paste is text here."""

    HELP = ""  # that of the screen is shown

    def on_mount(self) -> None:
        """Say what it does."""
        self.placeholder = "Ask both engines. Enter sends, Esc leaves the box."

    @on(PromptInput.PastedLong)
    def insert_paste(self, event: PromptInput.PastedLong) -> None:
        """Insert a long paste."""
        event.stop()
        self.insert(displayable(event.text))
