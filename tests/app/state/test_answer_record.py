"""What is kept of an answer for its panel."""

from __future__ import annotations

from app.state.answer_record import GAPS, AnswerRecord
from app.state.series import Phase


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
    assert seconds == [span.seconds for span in record.spans()], "it has ended: its clock stands"


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
