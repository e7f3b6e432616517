"""Tell why a prompt that continues a conversation does not repeat its tokens, so that the KV cache misses.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engines.backends.common_prefix import common_length
from engines.worker.context_window import FittedPrompt
from engines.worker.protocol import Done, Generate

Decode = Callable[[Sequence[int]], str]


class Rewritten(NamedTuple):
    """What a prompt does not repeat of the last prompt and its answer, though it continues them."""

    tokens: int = 0
    cause: str = ""
    """`template`: the chat template writes earlier turns differently; `tokens`: the text is the same, but has
    other tokens than were generated."""


@dataclass(frozen=True)
class AnsweredPrompt:
    """The conversation that an engine answered last, all of its turns sent."""

    messages: tuple[dict[str, str], ...]
    answer: str
    token_ids: tuple[int, ...]
    """Of the prompt and its answer, without the token that ended it."""

    def is_continued_by(self, messages: tuple[dict[str, str], ...]) -> bool:
        """Return whether these messages are the conversation, its answer or a part of it, and more."""
        count = len(self.messages)
        if messages[:count] != self.messages or len(messages) == count:
            return False
        return messages[count]["role"] == "assistant" and messages[count]["content"] in self.answer


class RewrittenTurns:
    """Compares each prompt of a worker with the one before it."""

    def __init__(self) -> None:
        self._last: AnsweredPrompt | None = None

    def take(self, command: Generate, prompt: FittedPrompt, decode: Decode) -> Rewritten:
        """Compare a prompt with the last one, which is then forgotten.

        Nothing is rewritten in another conversation, or where turns were dropped, which is said anyway.
        """
        last, self._last = self._last, None
        if last is None or not _is_whole(command, prompt) or not last.is_continued_by(command.messages):
            return Rewritten()
        start = tuple(prompt.token_ids[: len(last.token_ids)])
        if start == last.token_ids:
            return Rewritten()
        shared = common_length(last.token_ids, start)
        before, now = decode(last.token_ids[shared:]), decode(prompt.token_ids[shared:])
        cause = "tokens" if now.startswith(before.rstrip("\ufffd")) else "template"
        return Rewritten(len(last.token_ids) - shared, cause)

    def keep(self, command: Generate, prompt: FittedPrompt, done: Done, eos: frozenset[int]) -> None:
        """Keep an answered prompt for the next one."""
        if _is_whole(command, prompt):
            answer = done.token_ids[:-1] if eos.intersection(done.token_ids[-1:]) else done.token_ids
            self._last = AnsweredPrompt(command.messages, done.text, (*prompt.token_ids, *answer))


def _is_whole(command: Generate, prompt: FittedPrompt) -> bool:
    return command.token_ids is None and not prompt.dropped_turns
