"""Room in the context: how long a conversation is, and which of its oldest turns are left out.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol

from engines.errors import EngineError
from engines.worker.protocol import CountTokens, Generate, TokensCounted

Messages = Sequence[dict[str, str]]

ANSWER_SHARE = 8
"""An eighth of the context is kept for the answer: a conversation that fills it all would be cut mid-word."""


class Prompter(Protocol):
    """What is needed of a tokenizer."""

    def prompt_ids(self, messages: Messages) -> list[int]:
        """The ids of a conversation, ready for the assistant's next words."""

    def plain_ids(self, text: str) -> list[int]:
        """The ids of a text."""


class FittedPrompt(NamedTuple):
    """A conversation cut to the context."""

    token_ids: list[int]
    left_out: int
    """The oldest turns that are not in it."""


def fit_prompt(command: Generate, tokenizer: Prompter, context: int) -> FittedPrompt:
    """The ids that the engine is given, and how many of the oldest turns are not among them.

    Raises:
        EngineError: `context-full`, where leaving out turns does not help.
    """
    if command.token_ids is not None:
        return FittedPrompt(list(command.token_ids), 0)
    whole = tokenizer.prompt_ids(command.messages)
    if not command.trim:
        return FittedPrompt(whole, 0)
    rest = trimmed(whole, tokenizer, command.messages, context)
    if len(rest.token_ids) >= context:
        raise EngineError(
            "context-full",
            f"The prompt alone is {len(rest.token_ids):,} tokens long and the engine holds {context:,}.",
            "Send a shorter prompt, or prepare the engine with a longer context (F2).",
        )
    return rest


def digest_of(token_ids: Sequence[int]) -> str:
    """Of a prompt: the same for the same ids, and nothing that can be read back."""
    return sha256(array("q", token_ids).tobytes()).hexdigest()


def count(command: CountTokens, tokenizer: Prompter, context: int) -> TokensCounted:
    """How long a conversation is, and how long trimming would leave it."""
    whole = tokenizer.prompt_ids(command.messages)
    rest = trimmed(whole, tokenizer, command.messages, context)
    texts = tuple(len(tokenizer.plain_ids(text)) for text in command.texts)
    return TokensCounted(command.id, len(whole), context, len(rest.token_ids), rest.left_out, texts)


def trimmed(whole: list[int], tokenizer: Prompter, messages: Messages, context: int) -> FittedPrompt:
    """Leave out as few of the oldest turns as make room for an answer.

    The system prompt and the last prompt always stay, also where they alone are too long.
    """
    room = context - context // ANSWER_SHARE
    turns = len(_starts(messages)) - 1
    if len(whole) <= room or turns < 1:
        return FittedPrompt(whole, 0)
    least = FittedPrompt(tokenizer.prompt_ids(without(messages, turns)), turns)
    if len(least.token_ids) >= room:
        return least
    # Each look tokenizes a conversation: halving takes eight of them for 200 turns.
    numbers = range(1, turns)
    left_out = 1 + bisect_left(
        numbers, True, key=lambda turns: len(tokenizer.prompt_ids(without(messages, turns))) <= room
    )
    return (
        least
        if left_out == turns
        else FittedPrompt(tokenizer.prompt_ids(without(messages, left_out)), left_out)
    )


def without(messages: Messages, turns: int) -> Messages:
    """The conversation without its oldest turns; a system prompt stays."""
    start = _starts(messages)[turns]
    return [message for message in messages[:start] if message["role"] == "system"] + list(messages[start:])


def _starts(messages: Messages) -> list[int]:
    """Where each turn begins: with the user's words."""
    return [index for index, message in enumerate(messages) if message["role"] == "user"]
