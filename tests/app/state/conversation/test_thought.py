"""The thought of an answer is apart from it, also in conversations of earlier releases."""

from __future__ import annotations

import pytest

from app.state.conversation.conversation_file import Record
from app.state.conversation.record import encode_line, lines_of, record_of
from app.state.conversation.thought import thought_and_answer
from app.state.conversation.turn import Turn


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("Plain.", "", "Plain."),
        ("<think>\nHm", "Hm", ""),
        ("<think>\nHm.\n</think>\n\nYes.", "Hm.\n", "Yes."),
        ("Hm.\n</think>\nYes.", "Hm.\n", "Yes."),
        ("<think></think>Yes.", "", "Yes."),
    ],
)
def test_a_complete_output(text: str, thought: str, answer: str) -> None:
    assert thought_and_answer(text) == (thought, answer)


def reopened(turn: Turn) -> Turn:
    record = Record()
    record.sides["left"].add(turn)
    return record_of(b"".join(map(encode_line, lines_of(record)))).sides["left"].turns[0]


def test_an_answer_of_an_earlier_release_is_separated() -> None:
    turn = reopened(Turn("Why?", "Hm.\n</think>\n\nYes."))
    assert (turn.thought, turn.answer) == ("Hm.\n", "Yes.")


def test_tags_in_an_answer_of_this_release_are_text() -> None:
    answer = "Close it with </think>."
    turn = reopened(Turn("Why?", answer, thought="Hm.", thought_tokens=3))
    assert (turn.thought, turn.answer, turn.thought_tokens) == ("Hm.", answer, 3)
