"""Prompts to begin with, listed above the prompt of an empty chat."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from app.widgets.panels.drawing import MUTED

HEAD = "Suggestions: ↓ or a click puts one into the prompt, Enter sends it"
CHOSEN, OTHER = "❯ ", "  "


class Suggestions(Static):
    """A line for each suggested prompt. A click chooses one, which does not send it."""

    @dataclass
    class Chosen(Message):
        """The user clicked a prompt."""

        prompt: str

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, markup=False)
        self.prompts: tuple[str, ...] = ()
        """The prompts that are listed; empty while none are."""
        self._shown: tuple[tuple[str, ...], str] = (), ""
        self.display = False

    def show(self, prompts: tuple[str, ...], text: str) -> None:
        """List prompts while `text`, what is in the prompt now, is empty or one of them."""
        self.prompts = prompts if not text or text in prompts else ()
        if (self.prompts, text) == self._shown:
            return
        self._shown = self.prompts, text
        self.display = bool(self.prompts)
        rows = [Content.styled(HEAD, MUTED)]
        rows += [
            Content.styled(f"{CHOSEN}{one}", "bold") if one == text else Content(f"{OTHER}{one}")
            for one in self.prompts
        ]
        self.update(Content("\n").join(rows))

    def on_click(self, event: events.Click) -> None:
        """Choose the clicked prompt."""
        place = event.get_content_offset(self)
        if place and 1 <= place.y <= len(self.prompts):
            self.post_message(self.Chosen(self.prompts[place.y - 1]))
