"""Which turns fill the context window."""

from __future__ import annotations

import pytest

from app.state.conversation.context_map import ContextMap, context_map
from app.state.conversation.turn import Turn


def turn(prompt: int, answer: int, *, cached: int | None = None, left_out: int = 0) -> Turn:
    """Return a turn whose prompt, the conversation before it included, has `prompt` tokens."""
    return Turn(
        "Hi",
        "Hello." if answer else "",
        prompt_tokens=prompt,
        token_ids=tuple(range(answer)),
        cached=cached,
        left_out=left_out,
    )


def test_each_turn_adds_its_prompt_and_its_answer() -> None:
    found = context_map([turn(20, 30), turn(65, 40, cached=48), turn(115, 10, cached=96)], 512)
    assert found == ContextMap(512, (50, 55, 20), 0, 96)
    assert found.used == 125
    assert found.limit == 448, "an eighth is kept free for the answer"


def test_dropped_turns_are_not_in_it() -> None:
    """The third prompt dropped the first turn, the fourth the first three."""
    turns = [turn(100, 100), turn(250, 150), turn(300, 100, left_out=1), turn(110, 20, left_out=3)]
    assert context_map(turns[:2], 512) == ContextMap(512, (200, 200), 0, 0)
    assert context_map(turns[:3], 512) == ContextMap(512, (200, 200), 1, 0)
    assert context_map(turns, 512) == ContextMap(512, (130,), 3, 0)


def test_turns_without_an_answer_are_not_sent_again() -> None:
    failed = Turn("Why?", prompt_tokens=0)
    stopped = turn(70, 0)
    assert context_map([turn(20, 30), failed, stopped, turn(75, 5)], 512) == ContextMap(512, (50, 30), 0, 0)
    assert context_map([turn(20, 30), stopped], 512) == ContextMap(512, (50, 20), 0, 0), "it is in the cache"
    assert context_map([turn(20, 30), failed], 512) == ContextMap(512, (50,), 0, 0)


@pytest.mark.parametrize("turns", [[], [Turn("Hi")]])
def test_an_empty_window(turns: list[Turn]) -> None:
    assert context_map(turns, 512) == ContextMap(512)
    assert context_map(turns, 0) is None


def test_figures_that_contradict_each_other_do_not_fail() -> None:
    """Another tokenizer counted the first turn, or a library reports more cached tokens than there are."""
    found = context_map([turn(500, 10), turn(100, 5, cached=900, left_out=7)], 512)
    assert found is not None
    assert found.used == 105
    assert found.reused == 100
