"""What is kept of an answer for its panel."""

from __future__ import annotations

import pytest

from app.state.side import answer_record as module
from app.state.side.answer_record import GAPS, STALL_SECONDS, AnswerRecord
from app.state.side.phase import Phase


def phases(record: AnswerRecord) -> list[Phase]:
    return [span.phase for span in record.spans()]


def answer(record: AnswerRecord, *entered: Phase) -> None:
    for phase in entered:
        record.enter(phase, phase is not Phase.READY)


def test_the_wait_belongs_to_the_answer() -> None:
    record = AnswerRecord()
    assert record.spans() == ()
    answer(record, Phase.QUEUED, Phase.READY, Phase.PREFILL, Phase.DECODE, Phase.READY)
    assert phases(record) == [Phase.QUEUED, Phase.PREFILL, Phase.DECODE]
    seconds = [span.seconds for span in record.spans()]
    assert seconds == [span.seconds for span in record.spans()], "the answer has ended"


def test_the_next_answer_begins_anew() -> None:
    record = AnswerRecord()
    answer(record, Phase.PREFILL, Phase.DECODE)
    record.tokens((1_000_000_000, 1_010_000_000))
    record.tokens((1_030_000_000,))
    assert record.gaps == (0.01, 0.02)
    answer(record, Phase.READY, Phase.PREFILL)
    assert phases(record) == [Phase.PREFILL]
    assert not record.gaps


def test_gaps_are_bounded() -> None:
    record = AnswerRecord()
    answer(record, Phase.PREFILL)
    record.tokens(range(GAPS * 3))
    assert len(record.gaps) == GAPS


class Clock:
    """Stands in for the module `time`."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now

    @property
    def ns(self) -> int:
        return round(self.now * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the test advances."""
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def seen(record: AnswerRecord) -> list[tuple[Phase, float]]:
    return [(span.phase, round(span.seconds, 6)) for span in record.spans()]


def test_a_stall_is_taken_out_of_decode(clock: Clock) -> None:
    """As the phase clock has it: no token for longer than STALL_SECONDS."""
    record = AnswerRecord()
    answer(record, Phase.PREFILL)
    clock.now += 1
    answer(record, Phase.DECODE)
    record.tokens((clock.ns,))
    for wait in (*[0.1] * 5, STALL_SECONDS, 5.0, 0.5):
        clock.now += wait
        record.tokens((clock.ns,))
    assert seen(record) == [
        (Phase.PREFILL, 1),
        (Phase.DECODE, STALL_SECONDS + 0.5),
        (Phase.STALLED, 5),
        (Phase.DECODE, 0.5),
    ]
    clock.now += 3
    assert seen(record)[-1] == (Phase.STALLED, 3), "a stall that goes on"
    answer(record, Phase.READY)
    clock.now += 60
    assert seen(record)[-1] == (Phase.STALLED, 3), "the answer has ended"


def test_a_slow_engine_does_not_stall_at_every_token(clock: Clock) -> None:
    """One token every three seconds, then one after twenty: that is a stall."""
    record = AnswerRecord()
    answer(record, Phase.PREFILL)
    answer(record, Phase.DECODE)
    record.tokens((clock.ns,))
    for _ in range(4):
        clock.now += 3
        record.tokens((clock.ns,))
    clock.now += 10
    assert seen(record)[1:] == [(Phase.DECODE, 22)]
    clock.now += 10
    record.tokens((clock.ns,))
    assert seen(record)[1:] == [(Phase.DECODE, 12), (Phase.STALLED, 20)]


def test_the_first_answer_after_a_load_tells_how_long_that_took(clock: Clock) -> None:
    record = AnswerRecord()
    answer(record, Phase.PREFILL, Phase.READY)
    record.enter(Phase.LOADING, answers=False)
    clock.now += 12
    record.enter(Phase.READY, answers=False)
    assert phases(record) == [Phase.PREFILL], "the load belongs to the next answer"
    clock.now += 100
    answer(record, Phase.PREFILL, Phase.READY)
    assert seen(record)[0] == (Phase.LOADING, 12)
    answer(record, Phase.PREFILL, Phase.READY)
    assert phases(record) == [Phase.PREFILL]


def test_a_load_that_failed_is_no_load(clock: Clock) -> None:
    record = AnswerRecord()
    record.enter(Phase.LOADING, answers=False)
    record.enter(Phase.FAILED, answers=False)
    record.enter(Phase.READY, answers=False)
    answer(record, Phase.PREFILL)
    assert phases(record) == [Phase.PREFILL]


def test_gaps_are_the_very_same_until_a_token_comes() -> None:
    """Panels sort them only when there are others."""
    record = AnswerRecord()
    answer(record, Phase.PREFILL, Phase.DECODE)
    record.tokens((1, 2, 3))
    assert record.gaps is record.gaps
    before = record.gaps
    record.tokens((4,))
    assert record.gaps != before


def test_decode_lasts_from_its_first_to_its_last_token(clock: Clock) -> None:
    """Not as long as their messages were under way: a busy screen reads them late."""
    record = AnswerRecord()
    answer(record, Phase.PREFILL)
    clock.now += 0.5
    first = clock.ns
    clock.now += 0.3
    answer(record, Phase.DECODE)
    record.tokens((first, first + 200_000_000))
    answer(record, Phase.READY)
    assert seen(record) == [(Phase.PREFILL, 0.5), (Phase.DECODE, 0.2)]
