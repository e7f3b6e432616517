"""Which part of an answer is shown at which time, for answers with known time stamps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.conversation.conversation import Conversation
from app.state.conversation.playback import SPEEDS, Playback
from app.state.conversation.record import Record
from app.state.conversation.replay import (
    PAUSE_SECONDS,
    SHORTEST_PAUSE,
    Moment,
    Progress,
    RecordedAnswer,
    RecordedTurn,
    recorded_turns,
)
from app.state.conversation.token_stamps import token_stamps
from app.state.conversation.turn import Turn
from engines.measure.timing import Timing, timing
from engines.worker.protocol import Error

MS = 1_000_000


def answered(times_ns: list[int], text: str = "", prompt: str = "Hi", waited_ns: int = 0) -> Turn:
    """Return a turn whose tokens arrived at these times after the request, each with one character."""
    text = text or "".join(chr(ord("a") + number % 26) for number in range(len(times_ns)))
    turn = Turn(prompt, text, token_ids=tuple(range(len(times_ns))), reason="stop", mode="in turn")
    turn.timing = timing(0, times_ns)
    turn.stamps = token_stamps(0, times_ns, [len(text) // len(times_ns)] * len(times_ns), waited_ns)
    return turn


def unstamped(turn: Turn) -> Turn:
    """Return the turn as a release without time stamps would have saved it."""
    return replace(turn, stamps=None)


def record(left: list[Turn], right: list[Turn]) -> Record:
    """Return a conversation with these turns."""
    sides = {"left": Conversation(), "right": Conversation()}
    for name, turns in (("left", left), ("right", right)):
        for turn in turns:
            sides[name].add(turn)
    return Record(sides)


def test_an_answer_of_3_8_ms() -> None:
    """20 tokens, the first after 1.9 ms, one every 100 µs."""
    answer = RecordedAnswer(answered([1_900_000 + 100_000 * number for number in range(20)]))
    assert answer.ended == pytest.approx(0.0038)
    assert answer.at(0.0018).progress is Progress.PREFILL
    moment = answer.at(0.00285)
    assert (moment.progress, moment.tokens, moment.characters) == (Progress.DECODE, 10, 10)
    assert moment.rate == pytest.approx(10_000)
    assert answer.at(0.0038) == Moment(Progress.ENDED, 20, 20, pytest.approx(0.0038))


def test_a_token_every_two_seconds() -> None:
    answer = RecordedAnswer(answered([2_000 * MS * number for number in range(1, 11)]))
    assert answer.ended == 20
    assert answer.at(1.99) == Moment(Progress.PREFILL, 0, 0, 1.99)
    assert answer.at(2.0).tokens == answer.at(3.99).tokens == 1
    assert answer.at(2.0).rate == 0, "one token has no rate"
    moment = answer.at(9.0)
    assert (moment.tokens, moment.characters, moment.rate) == (4, 4, pytest.approx(0.5))
    assert answer.at(19.9).progress is Progress.DECODE


def test_an_uneven_answer_keeps_its_stall() -> None:
    answer = RecordedAnswer(answered([10 * MS, 20 * MS, 5_000 * MS, 5_010 * MS]))
    assert [answer.at(seconds).tokens for seconds in (0.015, 0.02, 4.9, 5.0)] == [1, 2, 2, 3]
    assert answer.at(4.9).rate < 1, "the rate falls while no token comes"


def test_the_second_side_waits_for_the_first() -> None:
    left, right = answered([100 * MS, 200 * MS]), answered([50 * MS, 60 * MS], waited_ns=250 * MS)
    (turn,) = recorded_turns(record([left], [right]))
    assert turn.right
    assert turn.right.at(0.24) == Moment(Progress.QUEUED, 0, 0, 0.24)
    assert turn.right.at(0.26).progress is Progress.PREFILL
    assert turn.ended == pytest.approx(0.31)
    assert turn.is_exact


def test_without_time_stamps_tokens_come_at_their_mean_rate() -> None:
    """First token, number and total are those of the summary; the right side answers second."""
    left, right = (unstamped(answered([1_000 * MS * (2 + number) for number in range(5)])) for _ in range(2))
    (turn,) = recorded_turns(record([left], [right]))
    assert not turn.is_exact
    assert turn.left
    assert [turn.left.at(seconds).tokens for seconds in (1.9, 2.0, 4.5, 5.9, 6.0)] == [0, 1, 3, 4, 5]
    assert turn.right
    assert turn.right.began == 6
    assert turn.ended == 12
    left.mode = right.mode = "together"
    (turn,) = recorded_turns(record([left], [right]))
    assert turn.ended == 6


def test_an_answer_longer_than_its_saved_stamps() -> None:
    """The rest comes at its mean rate, and ends when the answer ended."""
    turn = answered([1_000 * MS * (1 + number) for number in range(10)])
    turn.stamps = token_stamps(0, [1_000 * MS, 2_000 * MS], [1, 1])
    answer = RecordedAnswer(turn)
    assert answer.at(2.5).tokens == 2
    assert answer.at(6.5).tokens == answer.at(6.5).characters == 6
    assert answer.ended == 10


@pytest.mark.parametrize(
    "turn",
    [
        Turn("Hi", reason="stopped"),
        Turn("Hi", error=Error(0, "worker-died", "It ended.", "")),
        Turn("Hi", "Some text", timing=Timing(tokens=10**12)),
        Turn("Hi", "Some text"),
    ],
    ids=["cancelled", "failed", "claims", "without a summary"],
)
def test_an_answer_of_which_little_was_saved(turn: Turn) -> None:
    """It is shown at once: nothing is invented."""
    answer = RecordedAnswer(turn)
    assert answer.at(0.0).progress is Progress.ENDED
    assert answer.at(0.0).characters == len(turn.answer)


def test_hostile_stamps_stay_in_the_answer() -> None:
    turn = answered([MS, 2 * MS, 3 * MS])
    assert turn.stamps
    turn.stamps = replace(turn.stamps, gaps=(-5, 10, 10), characters=(-1, 10**9), waited=-7)
    answer = RecordedAnswer(turn)
    assert all(0 <= answer.at(at / 1e6).characters <= 3 for at in range(30))


def test_pauses_between_prompts_are_those_of_the_record_within_limits() -> None:
    turns = [answered([1_000 * MS], prompt=prompt) for prompt in ("one", "two", "three", "four")]
    for turn, asked_at in zip(turns, (100.0, 103.0, 104.1, 900.0), strict=True):
        turn.asked_at = asked_at
    pauses = [turn.pause for turn in recorded_turns(record(turns, []))]
    assert pauses == [pytest.approx(2.0), SHORTEST_PAUSE, PAUSE_SECONDS, PAUSE_SECONDS]


def test_a_prompt_that_only_one_side_was_asked() -> None:
    one, two = answered([MS], prompt="one"), answered([MS], prompt="two")
    first, second = recorded_turns(record([one, two], [two]))
    assert isinstance(first, RecordedTurn)
    assert (first.right, len(second.answers)) == (None, 2)


def test_playback_advances_and_stays_at_the_end() -> None:
    clock = Playback([(2.0, 1.0), (4.0, 1.0)])
    clock.advance(2.5)
    assert (clock.index, clock.seconds) == (0, 2.5)
    clock.advance(0.5)
    assert (clock.index, clock.seconds) == (1, 0.0)
    assert not clock.has_ended
    clock.advance(100.0)
    assert (clock.index, clock.has_ended) == (1, True)
    clock.toggle_pause()
    assert (clock.index, clock.seconds, clock.is_paused) == (0, 0.0, False)


def test_playback_pauses_steps_and_changes_its_speed() -> None:
    clock = Playback([(2.0, 1.0), (4.0, 1.0)])
    clock.toggle_pause()
    clock.advance(5.0)
    assert clock.seconds == 0
    clock.step(1)
    clock.toggle_pause()
    for _ in range(5):
        clock.change_speed(1)
    assert clock.speed == SPEEDS[-1] == 4.0
    clock.advance(0.5)
    assert (clock.index, clock.seconds) == (1, 2.0)
    clock.step(1)
    assert clock.has_ended
    clock.step(-1)
    assert (clock.index, clock.seconds) == (0, 0.0)
    for _ in range(9):
        clock.change_speed(-1)
        clock.step(-1)
    assert (clock.index, clock.speed) == (0, 0.5)
