"""The attachments of the prompt, one line each, above the prompt input."""

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
from app.terminal_text import displayable
from app.units import count_text
from app.widgets.chat.transcript.figures import ATTACHED

LONGEST_TITLE = 48
"""Characters of a shown file name: leaves room for its actions on the same line."""


class AttachmentItem(Static, can_focus=True):
    """One attachment with its size in tokens and its actions."""

    HELP = """\
# Attachment

An attachment is sent before the prompt, fenced and with its name. **Delete** removes it, **Enter** turns a
paste back into text in the prompt.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete,backspace", "remove", "Remove", id="attachment.remove", key_display="Del"),
        Binding("enter", "as_text", "As text", id="attachment.text"),
    ]

    @dataclass
    class Removed(Message):
        """The user removed the attachment."""

        attachment: Attachment

    @dataclass
    class TextRequested(Message):
        """The user asked to put the attachment's text into the prompt."""

        attachment: Attachment

    def __init__(self, attachment: Attachment) -> None:
        super().__init__(classes="attachment")
        self.attachment = attachment
        self.show_tokens(None)

    def show_tokens(self, tokens: int | None) -> None:
        """Show the title, and the number of tokens once it is known (`None` until then)."""
        title = displayable(self.attachment.title)
        if len(title) > LONGEST_TITLE:
            title = f"{title[: LONGEST_TITLE // 2]}…{title[-LONGEST_TITLE // 2 :]}"
        counted = "" if tokens is None else f", {count_text(tokens)} token{'' if tokens == 1 else 's'}"
        markup = f"{ATTACHED} $title$counted  [@click=remove]✕ remove[/]"
        if self.attachment.can_be_text:
            markup += "  [@click=as_text]as text[/]"
        self.update(Content.from_markup(markup, title=title, counted=counted))

    def action_remove(self) -> None:
        """Ask the composer to remove this attachment."""
        self.post_message(self.Removed(self.attachment))

    def action_as_text(self) -> None:
        """Ask the composer to insert this attachment as text."""
        self.post_message(self.TextRequested(self.attachment))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer *As text* only for attachments that may become text: pastes, not files."""
        return action != "as_text" or self.attachment.can_be_text


class AttachmentList(VerticalScroll, can_focus=False):
    """All attachments of the draft; hidden while there are none."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.attachments: tuple[Attachment, ...] = ()
        self.display = False

    def compose(self) -> ComposeResult:
        """Yield one line for each attachment."""
        yield from (AttachmentItem(attachment) for attachment in self.attachments)

    async def show(self, attachments: tuple[Attachment, ...], tokens: Mapping[Attachment, int]) -> None:
        """Show these attachments, with the token counts known so far."""
        self.attachments, self.display = attachments, bool(attachments)
        await self.recompose()
        self.show_tokens(tokens)

    def show_tokens(self, tokens: Mapping[Attachment, int]) -> None:
        """Show the token counts of the attachments."""
        for item in self.query(AttachmentItem):
            item.show_tokens(tokens.get(item.attachment))
