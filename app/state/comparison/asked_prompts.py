"""The prompts of a conversation, with the answers that the reference has given."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

from app.state.conversation.alignment import counterpart
from app.state.conversation.conversation import Conversation
from app.state.conversation.turn import Turn
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.text import FOLDER, LARGEST_FILE
from engines.text_file import TextFileError, read_text_file


def asked_turns(conversation: Conversation) -> list[Turn]:
    """Return the turns that are shown and have an answer, oldest first."""
    return [turn for turn in conversation.turns if turn.answered and turn.token_ids]


def asked_prompts(conversation: Conversation) -> list[AskedPrompt]:
    """Return the prompts of `asked_turns`."""
    return [
        asked_prompt(conversation, index, turn)
        for index, turn in enumerate(conversation.turns)
        if turn.answered and turn.token_ids
    ]


def asked_prompt(conversation: Conversation, index: int, turn: Turn) -> AskedPrompt:
    """Return the prompt of a turn as it was sent, with its answer.

    Args:
        index: place of the turn in the conversation.
    """
    messages = conversation.messages_with(turn.system_prompt, turn.content, index)
    system = [message for message in messages[:1] if message["role"] == "system"]
    # Turns that did not fit were not sent: each is a prompt and an answer.
    sent = messages[len(system) + 2 * turn.left_out :]
    return AskedPrompt(
        " ".join(turn.prompt.split()) or turn.attachments[0].title,
        (*system, *sent),
        turn.token_ids,
        turn.prompt_digest,
        turn.template_arguments,
    )


def place_of(turn: Turn, sides: Iterable[Conversation], reference: Conversation) -> int | None:
    """Return which of the reference's `asked_turns` has the prompt of a turn of either side; None without.

    Args:
        sides: both conversations.
    """
    for source in sides:
        index = counterpart(turn, source, reference)
        if index is not None:
            asked = asked_turns(reference)
            return next((i for i, one in enumerate(asked) if one is reference.turns[index]), None)
    return None


def shipped_prompts() -> list[AskedPrompt]:
    """Return prompts that ship with the project; the reference has still to answer them."""
    found = tomllib.loads((FOLDER / "prompts.toml").read_text("utf-8"))["prompts"]
    return [AskedPrompt(one, ({"role": "user", "content": one},)) for one in found]


def file_prompts(path: str) -> list[AskedPrompt]:
    """Return the prompts of a file, which are separated by empty lines.

    Raises:
        TextFileError: it cannot be read, is too large, is not text, or has no prompt.
    """
    found = [one.strip() for one in re.split(r"\n\s*\n", read_text_file(path, LARGEST_FILE)) if one.strip()]
    if not found:
        raise TextFileError("The file is empty.")
    return [AskedPrompt(" ".join(one.split()), ({"role": "user", "content": one},)) for one in found]
