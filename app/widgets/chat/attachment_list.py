"""What goes with the prompt, a line each above the box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from app.state.conversation.attachment import Attachment
from app.state.side.pacing import displayable
from app.units import count_text
from app.widgets.chat.transcript.figures import ATTACHED

LONGEST_TITLE = 48
"""Characters of a name, so that what can be done with it stands on the same line."""


class AttachmentItem(Static, can_focus=True):
    """One attachment."""

    HELP = """\
# Attachment

It goes before the prompt, fenced and with its name. **Delete** takes it away, **Enter** puts a paste
back into the box as text.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete,backspace", "remove", "Remove", id="chip.remove", key_display="Del"),
        Binding("enter", "as_text", "As text", id="chip.text"),
    ]

    @dataclass
    class Removed(Message):
        """The user took it away."""

        attachment: Attachment

    @dataclass
    class TextWanted(Message):
        """The user wants it in the box."""

        attachment: Attachment

    def __init__(self, attachment: Attachment) -> None:
        super().__init__(classes="chip")
        self.attachment = attachment
        self.show_tokens(None)

    def show_tokens(self, tokens: int | None) -> None:
        """Say what it is, and how long for the engine once that is known."""
        title = displayable(self.attachment.title)
        if len(title) > LONGEST_TITLE:
            title = f"{title[: LONGEST_TITLE // 2]}…{title[-LONGEST_TITLE // 2 :]}"
        counted = "" if tokens is None else f", {count_text(tokens)} token{'' if tokens == 1 else 's'}"
        markup = f"{ATTACHED} $title$counted  [@click=remove]✕ remove[/]"
        if self.attachment.can_be_text:
            markup += "  [@click=as_text]as text[/]"
        self.update(Content.from_markup(markup, title=title, counted=counted))

    def action_remove(self) -> None:
        """Take it away."""
        self.post_message(self.Removed(self.attachment))

    def action_as_text(self) -> None:
        """Put it into the box."""
        self.post_message(self.TextWanted(self.attachment))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A file stays a file."""
        return action != "as_text" or self.attachment.can_be_text


class AttachmentList(VerticalScroll, can_focus=False):
    """All attachments; out of sight while there is none."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.attachments: tuple[Attachment, ...] = ()
        self.display = False

    def compose(self) -> ComposeResult:
        """One line each."""
        yield from (AttachmentItem(one) for one in self.attachments)

    async def show(self, attachments: tuple[Attachment, ...], tokens: Mapping[Attachment, int]) -> None:
        """Show these, and how long they are as far as that is known."""
        self.attachments, self.display = attachments, bool(attachments)
        await self.recompose()
        self.show_tokens(tokens)

    def show_tokens(self, tokens: Mapping[Attachment, int]) -> None:
        """Say how long they are."""
        for chip in self.query(AttachmentItem):
            chip.show_tokens(tokens.get(chip.attachment))
