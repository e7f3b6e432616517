"""Tokens in lines: nothing is lost, lines fit, and a place leads back to its token."""

from __future__ import annotations

import random

import pytest
from rich.cells import cell_len

from app.widgets.tokens.token_lines import NEWLINE, place_of, token_at, token_lines

TOKENS = ["def", " f", "(", ")", ":", "\n   ", " return", " 1", "\n", "\n", "end"]


def shown(tokens: list[str], width: int) -> list[str]:
    return ["".join(piece.text for piece in line) for line in token_lines(tokens, width)]


def test_line_breaks_are_kept_and_visible() -> None:
    assert shown(TOKENS, 40) == [f"def f():{NEWLINE}", f"    return 1{NEWLINE}", NEWLINE, "end"]


def test_a_token_that_does_not_fit_starts_a_line() -> None:
    assert shown(["one", " two", " three"], 8) == ["one two", " three"]
    assert shown(["abcdefghij"], 4) == ["abcd", "efgh", "ij"]


def test_control_characters_are_replaced() -> None:
    assert shown(["a\x1b[31m", "\tb"], 40) == ["a�[31m    b"]


@pytest.mark.parametrize("width", [3, 8, 40])
def test_every_token_is_found_at_its_place(width: int) -> None:
    lines = token_lines(TOKENS, width)
    for index in range(len(TOKENS)):
        assert token_at(lines, *place_of(lines, index)) == index


def test_places_beside_the_text() -> None:
    lines = token_lines(TOKENS, 40)
    assert token_at(lines, 0, 39) == 5  # the line break that ends it
    assert token_at(lines, 99, 0) is None
    assert token_at([[]], 0, 0) is None


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_and_lines_fit(seed: int) -> None:
    chosen = random.Random(seed)
    tokens = ["".join(chosen.choices("ab 漢\n\t", k=chosen.randrange(9))) for _ in range(30)]
    width = chosen.randrange(4, 30)
    lines = token_lines(tokens, width)
    text = "".join(tokens)
    assert "".join(shown(tokens, width)) == text.replace("\t", "    ").replace("\n", NEWLINE)
    assert all(sum(cell_len(piece.text) for piece in line) <= width + 1 for line in lines)
