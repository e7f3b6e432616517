"""What is saved of when tokens arrived, and that files of other releases can be read."""

from __future__ import annotations

import json

import msgspec
import pytest

from app.state.conversation.record import TurnLine, encode_line, record_of
from app.state.conversation.token_stamps import LONGEST_WAIT, MOST_TOKENS, TokenStamps, spread, token_stamps
from app.state.conversation.turn import Turn

MS = 1_000_000


def test_gaps_in_microseconds() -> None:
    """From the request to the first token, then from token to token."""
    stamps = token_stamps(5, [5 + 20 * MS, 5 + 21 * MS, 5 + 21 * MS], [3, 0, 4], 7 * MS)
    assert stamps == TokenStamps((20_000, 1_000, 0), (3, 0, 4), 7_000)


def test_rounding_does_not_add_up() -> None:
    """Ten thousand gaps of 380.4 µs."""
    stamps = token_stamps(0, [380_400 * (number + 1) for number in range(10_000)], [1] * 10_000)
    assert stamps
    assert sum(stamps.gaps) == 3_804_000


def test_a_long_answer_is_saved_up_to_a_limit() -> None:
    tokens = 2 * MOST_TOKENS
    stamps = token_stamps(0, list(range(0, tokens * MS, MS)), [5] * tokens)
    assert stamps
    assert len(stamps.gaps) == len(stamps.characters) == MOST_TOKENS
    assert len(msgspec.json.encode(stamps)) < 8 * MOST_TOKENS


@pytest.mark.parametrize("times", [[], [4], [6, 5]], ids=["no token", "before the request", "out of order"])
def test_stamps_that_mean_nothing_are_not_saved(times: list[int]) -> None:
    assert token_stamps(5, times, [1] * len(times)) is None


def test_a_wrong_clock() -> None:
    for waited, saved in ((-5 * MS, 0), (10**30, LONGEST_WAIT)):
        stamps = token_stamps(0, [MS], [1], waited)
        assert stamps
        assert stamps.waited == saved


def test_spread() -> None:
    assert spread(10, 4) == [2, 3, 2, 3]
    assert spread(2, 4) == [0, 1, 0, 1]
    assert sum(spread(1_234, 17)) == 1_234


def test_a_turn_is_read_as_it_was_written() -> None:
    turn = Turn("Hi", "Hello", stamps=TokenStamps((20, 1), (3, 2), 9), machine="A CPU, 2 cores")
    turn.versions, turn.parameters = {"openvino": "2025.3"}, 7_000_000
    assert record_of(encode_line(TurnLine("left", 0, turn))).sides["left"].turns == [turn]


def test_a_file_of_an_earlier_release() -> None:
    line = json.loads(encode_line(TurnLine("left", 0, Turn("Hi", "Hello"))))
    for name in ("stamps", "machine", "versions", "parameters"):
        del line["turn"][name]
    (turn,) = record_of(json.dumps(line).encode()).sides["left"].turns
    assert turn == Turn("Hi", "Hello")
    assert turn.stamps is None
