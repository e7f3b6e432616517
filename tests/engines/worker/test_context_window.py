"""Dropping the oldest turns of a conversation that does not fit the context window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from engines.errors import EngineError
from engines.worker.context_window import count_tokens, fit_prompt, without_oldest
from engines.worker.protocol import CountTokens, Generate

SYSTEM = {"role": "system", "content": "s" * 10}


class CharacterTokenizer:
    """A tokenizer with one token per character."""

    def prompt_ids(self, messages: Sequence[dict[str, str]], arguments: Mapping[str, object]) -> list[int]:
        """Return the characters of all messages."""
        return self.text_ids("".join(message["content"] for message in messages))

    def text_ids(self, text: str) -> list[int]:
        """Return the characters of a text."""
        return [ord(character) for character in text]


def conversation(turns: int, length: int = 10) -> tuple[dict[str, str], ...]:
    """A system prompt, answered turns of twice `length` tokens, and a prompt of `length` tokens."""
    answered = [
        {"role": role, "content": chr(97 + turn) * length}
        for turn in range(turns)
        for role in ("user", "assistant")
    ]
    return SYSTEM, *answered, {"role": "user", "content": "z" * length}


@pytest.mark.parametrize(
    ("turns", "context", "dropped"),
    [(0, 1000, 0), (3, 1000, 0), (3, 96, 0), (3, 90, 1), (3, 64, 2), (3, 40, 3), (200, 1000, 158)],
)
def test_as_few_turns_as_possible_are_dropped(turns: int, context: int, dropped: int) -> None:
    command = Generate(1, conversation(turns), trim=True)
    ids, found = fit_prompt(command, CharacterTokenizer(), context)
    assert found == dropped
    text = "".join(map(chr, ids))
    assert text.startswith(SYSTEM["content"])
    assert text.endswith("z" * 10)
    assert len(text) == 20 + 20 * (turns - dropped)
    counted = count_tokens(CountTokens(2, command.messages, ("four", "")), CharacterTokenizer(), context)
    assert (counted.tokens, counted.context, counted.texts) == (20 + 20 * turns, context, (4, 0))
    assert (counted.least, counted.left_out) == (len(ids), dropped)


def test_without_trim_nothing_is_dropped() -> None:
    assert fit_prompt(Generate(1, conversation(9)), CharacterTokenizer(), 40).dropped_turns == 0
    assert fit_prompt(Generate(1, (), (1, 2, 3), trim=True), CharacterTokenizer(), 2) == ([1, 2, 3], 0)


def test_a_prompt_that_is_too_long_by_itself() -> None:
    messages = conversation(3)
    with pytest.raises(EngineError, match="prompt alone is 20 tokens long and the engine holds 20"):
        fit_prompt(Generate(1, messages, trim=True), CharacterTokenizer(), 20)
    assert count_tokens(CountTokens(1, messages), CharacterTokenizer(), 20).least == 20


def test_the_system_prompt_is_kept() -> None:
    rest = without_oldest(conversation(3), 2)
    assert [message["role"] for message in rest] == ["system", "user", "assistant", "user"]
    assert rest[1]["content"] == "c" * 10
