"""The rate along an answer, from recorded times."""

from __future__ import annotations

import pytest

from app.state.side.rate_curve import POINTS, RateCurve

MS = 1_000_000


def curve(*milliseconds: float) -> RateCurve:
    """Return the curve of tokens of these times."""
    made = RateCurve()
    made.add([round(one * MS) for one in milliseconds])
    return made


def test_the_rate_of_each_token() -> None:
    assert curve(0, 10, 20, 120).points == ((2, 100), (3, 100), (4, 10))


def test_an_answer_of_four_milliseconds_has_its_true_rate() -> None:
    points = curve(*(0.2 * number for number in range(20))).points
    assert [token for token, _ in points] == list(range(2, 21))
    assert all(rate == pytest.approx(5000) for _, rate in points)


def test_one_token_every_two_seconds() -> None:
    assert {rate for _, rate in curve(*range(0, 20_000, 2000)).points} == {0.5}


def test_a_long_answer_has_parts_of_several_tokens() -> None:
    points = curve(*range(0, 100_000, 10)).points
    assert POINTS / 2 <= len(points) <= 2 * POINTS
    assert all(rate == pytest.approx(100) for _, rate in points)
    assert points[-1][0] == pytest.approx(10_000, abs=10_000 / POINTS)


def test_tokens_of_one_chunk_are_one_part() -> None:
    assert curve(0, 0, 0, 30, 30, 30, 60).points == ((6, pytest.approx(100)), (7, pytest.approx(1000 / 30)))


def test_no_curve_before_the_second_moment() -> None:
    assert curve().points == ()
    assert curve(5, 5).points == ()
    made = curve(0, 10)
    assert made.points is made.points
    made.clear()
    assert made.points == ()
