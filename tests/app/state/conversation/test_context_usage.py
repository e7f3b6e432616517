"""The message about the part of the context window that a prompt would take."""

from __future__ import annotations

import pytest

from app.state.conversation.context_usage import ContextLevel, context_level, context_words
from app.state.conversation.turn import Turn
from app.state.settings.settings import ContextFull
from engines.worker.protocol import TokensCounted

TRIM, REFUSE = ContextFull.TRIM, ContextFull.REFUSE


def counted(tokens: int, context: int = 2048, least: int = 0, left_out: int = 0) -> TokensCounted:
    return TokensCounted(1, tokens, context, least or tokens, left_out)


@pytest.mark.parametrize(
    ("left", "right", "full", "words", "tight"),
    [
        (counted(1204), counted(1204), TRIM, "1,204 of 2,048 tokens", ContextLevel.WIDE),
        (counted(1204), counted(1700), TRIM, "left 1,204, right 1,700 of 2,048 tokens", ContextLevel.NEAR),
        (counted(9), counted(8, 64), TRIM, "left 9 of 2,048, right 8 of 64 tokens", ContextLevel.WIDE),
        (
            counted(2100, least=1700, left_out=3),
            counted(1700),
            TRIM,
            "left 2,100, right 1,700 of 2,048 tokens: 3 turns left out",
            ContextLevel.NEAR,
        ),
        (
            counted(2100, least=1700, left_out=1),
            counted(2100, least=1700, left_out=1),
            REFUSE,
            "2,100 of 2,048 tokens: too long",
            ContextLevel.OVER,
        ),
        (counted(2048), counted(9), TRIM, "left 2,048, right 9 of 2,048 tokens: too long", ContextLevel.OVER),
    ],
)
def test_words(
    left: TokensCounted, right: TokensCounted, full: ContextFull, words: str, tight: ContextLevel
) -> None:
    both = {"left": left, "right": right}
    assert context_words(both, full) == words
    assert context_level(both, full) is tight


def test_one_side() -> None:
    assert context_words({"right": counted(5)}, TRIM) == "5 of 2,048 tokens"


def test_a_turn_says_what_was_left_out() -> None:
    assert Turn("x").left_out_words == ""
    assert Turn("x", left_out=1, context=64).left_out_words == (
        "the first turn was left out: the context holds 64 tokens"
    )
    assert Turn("x", left_out=1200, context=2048).left_out_words == (
        "the first 1,200 turns were left out: the context holds 2,048 tokens"
    )
