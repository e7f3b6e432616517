"""What is left out of a conversation that the context does not hold."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engines.errors import EngineError
from engines.worker.context_window import count, fit_prompt, without
from engines.worker.protocol import CountTokens, Generate

SYSTEM = {"role": "system", "content": "s" * 10}


class Letters:
    """A tokenizer with a token a letter."""

    def prompt_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Every letter of every message."""
        return self.plain_ids("".join(message["content"] for message in messages))

    def plain_ids(self, text: str) -> list[int]:
        """Every letter."""
        return [ord(letter) for letter in text]


def conversation(turns: int, length: int = 10) -> tuple[dict[str, str], ...]:
    """Answered turns of twice `length` tokens, and a prompt of `length`."""
    said = [
        {"role": role, "content": chr(97 + turn) * length}
        for turn in range(turns)
        for role in ("user", "assistant")
    ]
    return SYSTEM, *said, {"role": "user", "content": "z" * length}


@pytest.mark.parametrize(
    ("turns", "context", "left_out"),
    [(0, 1000, 0), (3, 1000, 0), (3, 96, 0), (3, 90, 1), (3, 64, 2), (3, 40, 3), (200, 1000, 158)],
)
def test_as_few_turns_are_left_out_as_make_room(turns: int, context: int, left_out: int) -> None:
    asked = Generate(1, conversation(turns), trim=True)
    ids, found = fit_prompt(asked, Letters(), context)
    assert found == left_out
    text = "".join(map(chr, ids))
    assert text.startswith(SYSTEM["content"])
    assert text.endswith("z" * 10)
    assert len(text) == 20 + 20 * (turns - left_out)
    counted = count(CountTokens(2, asked.messages, ("four", "")), Letters(), context)
    assert (counted.tokens, counted.context, counted.texts) == (20 + 20 * turns, context, (4, 0))
    assert (counted.least, counted.left_out) == (len(ids), left_out)


def test_nothing_is_left_out_unasked() -> None:
    assert fit_prompt(Generate(1, conversation(9)), Letters(), 40).left_out == 0
    assert fit_prompt(Generate(1, (), (1, 2, 3), trim=True), Letters(), 2) == ([1, 2, 3], 0)


def test_a_prompt_that_is_too_long_by_itself() -> None:
    asked = conversation(3)
    with pytest.raises(EngineError, match="prompt alone is 20 tokens long and the engine holds 20"):
        fit_prompt(Generate(1, asked, trim=True), Letters(), 20)
    assert count(CountTokens(1, asked), Letters(), 20).least == 20


def test_the_system_prompt_stays() -> None:
    rest = without(conversation(3), 2)
    assert [message["role"] for message in rest] == ["system", "user", "assistant", "user"]
    assert rest[1]["content"] == "c" * 10
