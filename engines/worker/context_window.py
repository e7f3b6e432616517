"""Count the tokens of a conversation and drop its oldest turns when it does not fit the context window.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import NamedTuple, Protocol

from engines.errors import EngineError
from engines.worker.protocol import CountTokens, Generate, TokensCounted

Messages = Sequence[dict[str, str]]

ANSWER_SHARE = 8
"""An eighth of the context window is kept free for the answer; otherwise it could end after a few tokens."""


def prompt_limit(context: int) -> int:
    """Return the tokens of the longest prompt for which no turn of the conversation is dropped."""
    return context - context // ANSWER_SHARE


class PromptTokenizer(Protocol):
    """The part of a tokenizer that is used here."""

    def prompt_ids(self, messages: Messages, arguments: Mapping[str, object]) -> list[int]:
        """Return the ids of a conversation, with the generation prompt of the assistant."""

    def text_ids(self, text: str) -> list[int]:
        """Return the ids of a text as it is encoded in a message."""


class FittedPrompt(NamedTuple):
    """The token ids of a conversation that fits the context window."""

    token_ids: list[int]
    dropped_turns: int
    """Number of oldest turns that were dropped."""


def fit_prompt(command: Generate, tokenizer: PromptTokenizer, context: int) -> FittedPrompt:
    """Return the token ids for the engine; drop the oldest turns if the command allows it.

    Raises:
        EngineError: `context-full`: the prompt is too long even without all earlier turns.
    """
    if command.token_ids is not None:
        return FittedPrompt(list(command.token_ids), 0)
    prompt_ids = partial(tokenizer.prompt_ids, arguments=command.template_arguments)
    full = prompt_ids(command.messages)
    if not command.trim:
        return FittedPrompt(full, 0)
    fitted = drop_oldest_turns(full, prompt_ids, command.messages, context)
    if len(fitted.token_ids) >= context:
        raise EngineError(
            "context-full",
            f"The prompt alone is {len(fitted.token_ids):,} tokens long and the engine holds {context:,}.",
            "Send a shorter prompt, or prepare the engine with a longer context (F2).",
        )
    return fitted


def prompt_digest(token_ids: Sequence[int]) -> str:
    """Return the SHA-256 of token ids, to compare prompts without sending them."""
    return sha256(array("q", token_ids).tobytes()).hexdigest()


def count_tokens(command: CountTokens, tokenizer: PromptTokenizer, context: int) -> TokensCounted:
    """Return the length of a conversation in tokens, with all turns and after dropping the oldest ones."""
    prompt_ids = partial(tokenizer.prompt_ids, arguments=command.template_arguments)
    full = prompt_ids(command.messages)
    fitted = drop_oldest_turns(full, prompt_ids, command.messages, context)
    texts = tuple(len(tokenizer.text_ids(text)) for text in command.texts)
    return TokensCounted(
        id=command.id,
        tokens=len(full),
        context=context,
        least=len(fitted.token_ids),
        left_out=fitted.dropped_turns,
        texts=texts,
    )


def drop_oldest_turns(
    full: list[int], prompt_ids: Callable[[Messages], list[int]], messages: Messages, context: int
) -> FittedPrompt:
    """Drop as few of the oldest turns as needed to leave space for an answer.

    The system prompt and the last prompt are always kept, even if they alone are too long.

    Args:
        full: Token ids of all `messages`.
        prompt_ids: Returns the token ids of a conversation.
        context: Size of the context window in tokens.
    """
    limit = prompt_limit(context)
    turns = len(turn_starts(messages)) - 1
    if len(full) <= limit or turns < 1:
        return FittedPrompt(full, 0)
    shortest = FittedPrompt(prompt_ids(without_oldest(messages, turns)), turns)
    if len(shortest.token_ids) >= limit:
        return shortest
    # Each step tokenizes a conversation; a binary search takes eight steps for 200 turns.
    dropped = 1 + bisect_left(
        range(1, turns),
        True,
        key=lambda count: len(prompt_ids(without_oldest(messages, count))) <= limit,
    )
    if dropped == turns:
        return shortest
    return FittedPrompt(prompt_ids(without_oldest(messages, dropped)), dropped)


def without_oldest(messages: Messages, turns: int) -> Messages:
    """Return the conversation without its `turns` oldest turns; the system prompt is kept."""
    start = turn_starts(messages)[turns]
    return [message for message in messages[:start] if message["role"] == "system"] + list(messages[start:])


def turn_starts(messages: Messages) -> list[int]:
    """Return the indices of the user messages; each starts a turn."""
    return [index for index, message in enumerate(messages) if message["role"] == "user"]
