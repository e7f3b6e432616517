"""The sets of texts over which engines can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.state.conversation.conversation import Conversation
from engines.compare.latest import SHIPPED, file_set
from engines.compare.text import Text, file_text, shipped_texts


@dataclass(frozen=True)
class TextSet:
    """Texts with a name, under which their comparisons are kept."""

    name: str
    title: str
    texts: tuple[Text, ...]


def shipped() -> TextSet:
    """Return prose, code and a chat that ship with the project."""
    return TextSet(SHIPPED, "texts that ship", tuple(shipped_texts()))


def conversation_set(conversation: Conversation) -> TextSet | None:
    """Return the prompts and answers of a conversation; None if it has no answer."""
    *messages, _ = conversation.messages_with(conversation.system_prompt, "")
    if not any(message["role"] == "assistant" for message in messages):
        return None
    return TextSet("conversation", "the conversation", (Text("conversation", messages=tuple(messages)),))


def of_file(path: str) -> TextSet:
    """Return the text of a file.

    Raises:
        TextFileError: it cannot be read, is not text, or is too large.
    """
    file = Path(path).expanduser()
    return TextSet(file_set(file), file.name, (file_text(file),))
