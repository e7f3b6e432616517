"""Votes: the score with its interval and its p, and how they are saved, replayed and exported."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from app.state.conversation.conversation import Turn
from app.state.conversation.conversation_file import ConversationFile, Record, read_record
from app.state.conversation.export import exported
from app.state.conversation.record import VoteLine, encode_line, lines_of, record_of
from app.state.conversation.vote_score import binomial_p, score_lines, scores
from app.state.conversation.votes import Choice, Vote, Votes
from engines.measure.quality import wilson_interval
from tests.app.state.conversation.test_unsaved import full_disk
from tests.app.state.processes import run_alone


def answer(engine: str, text: str, digest: str = "") -> Turn:
    return Turn("What is it?", text, reason="stop", engine=engine, engine_digest=digest or engine)


def votes_of(choices: str) -> list[Vote]:
    """Return votes on engines X (left) and Y (right): x, y, t(ie) or b(oth bad), one letter each."""
    kinds = {"x": Choice.LEFT, "y": Choice.RIGHT, "t": Choice.TIE, "b": Choice.BOTH_BAD}
    return [Vote(answer("X", "one"), answer("Y", "two"), kinds[letter]) for letter in choices]


@pytest.mark.parametrize(
    ("successes", "trials", "p"),
    [
        (0, 0, 1.0),
        (1, 2, 1.0),
        (5, 5, 0.0625),
        (7, 10, 0.34375),
        (3, 10, 0.34375),
        (9, 10, 0.021484375),
        (15, 20, 0.04138946533203125),
        (60, 100, 0.05688793364098078),
        (600, 1000, 2.7e-10),
    ],
)
def test_the_binomial_test(successes: int, trials: int, p: float) -> None:
    """Values of scipy.stats.binomtest, two-sided, against 1/2."""
    assert binomial_p(successes, trials) == pytest.approx(p, rel=1e-9 if p > 1e-9 else 0.05)


def test_a_score_is_per_pair_of_engines_whatever_their_sides() -> None:
    votes = votes_of("xxytb")
    votes += [votes_of("x")[0].mirrored, Vote(answer("X", "a"), answer("Z", "b"), Choice.TIE)]
    first, second = scores(votes)
    assert [engine.title for engine in first.engines] == ["X", "Y"]
    assert (first.wins, first.ties, first.both_bad, first.decided) == ((3, 1), 1, 1, 4)
    assert first.share == 0.75
    assert first.interval == wilson_interval(3, 4)
    assert [engine.title for engine in second.engines] == ["X", "Z"]
    assert (second.decided, second.share, second.interval, second.p) == (0, None, None, None)


def test_too_few_votes_have_no_p() -> None:
    counts, verdict = score_lines(votes_of("x" * 15 + "y" * 4 + "t" * 9))
    assert counts == "X won 15 · Y won 4 · ties 9 · both bad 0"
    assert verdict.endswith("; too few votes: 19 of 20 decided")
    _, verdict = score_lines(votes_of("y" * 15 + "x" * 5 + "b"))
    assert verdict == (
        "Y won 75 % of the decided votes, 95 % interval 53 % to 89 % (Wilson); "
        "p = 0.041 (two-sided binomial against 1/2)"
    )
    assert "p < 0.001" in score_lines(votes_of("y" * 30))[1]
    assert score_lines(votes_of("tb"))[1] == "too few votes: 0 of 20 decided"
    assert score_lines([]) == []


def test_votes_after_the_names_were_shown_do_not_count() -> None:
    seen = Vote(answer("X", "one"), answer("Y", "two"), Choice.LEFT, revealed=True)
    mark = Vote(answer("X", "one"), answer("Y", "two"), Choice.NONE, revealed=True)
    [score] = scores([*votes_of("y"), seen, mark])
    assert (score.wins, score.not_counted) == ((1, 0), 1)
    assert "not counted 1 (names shown)" in score_lines([seen])[0]


def test_a_control_run_and_two_engines_of_one_name() -> None:
    same = [Vote(answer("X", "one"), answer("X", "two"), choice) for choice in (Choice.LEFT, Choice.TIE)]
    [score] = scores(same)
    assert score.is_control
    assert score.p is None
    assert score_lines(same)[0].startswith("control run, X on both sides · decided 1 · ties 1")
    other = [Vote(answer("X", "one", "0123456789"), answer("X", "two", "fedcba"), Choice.LEFT)]
    assert not scores(other)[0].is_control
    assert score_lines(other)[0].startswith("X 012345 won 1 · X fedcba won 0")


def test_one_vote_for_each_pair() -> None:
    left, right = answer("X", "one"), answer("Y", "two")
    votes = Votes([Vote(left, right, Choice.LEFT)])
    votes.put(Vote(right, left, Choice.LEFT))
    [vote] = votes
    assert vote.better is right
    assert votes.of(left, right) is vote
    votes.put(Vote(left, right, Choice.NONE, revealed=True))
    assert [one.choice for one in votes] == [Choice.NONE]
    votes.put(Vote(left, right, Choice.NONE))
    assert len(votes) == 0


def written(folder: Path) -> tuple[ConversationFile, Record]:
    """Return a file and its content: two prompts that both sides have answered."""
    file, record = ConversationFile(folder), Record()
    for prompt in ("one", "two"):
        for name, conversation in record.sides.items():
            conversation.add(Turn(prompt, f"{name} {prompt}", reason="stop", engine=name))
            file.append_turn(name, conversation)
    return file, record


def give(
    file: ConversationFile, record: Record, index: int, choice: Choice, *, revealed: bool = False
) -> None:
    turns = (conversation.turns[index] for conversation in record.sides.values())
    vote = Vote(*turns, choice, revealed)
    record.votes.put(vote)
    file.append_vote(vote, record.sides)


def said(votes: Iterable[Vote]) -> list[tuple[str, str, str, bool]]:
    return [(one.left.answer, one.right.answer, one.choice.value, one.revealed) for one in votes]


def test_votes_come_back(tmp_path: Path) -> None:
    """After a swap of the sides, with other versions, and in a file that is rewritten."""
    file, record = written(tmp_path)
    give(file, record, 0, Choice.LEFT)
    give(file, record, 1, Choice.NONE, revealed=True)
    give(file, record, 1, Choice.TIE, revealed=True)
    file.append_swap()
    record.sides = {"left": record.sides["right"], "right": record.sides["left"]}
    again = record.sides["left"].begin_again("other")
    assert again
    again.answer, again.reason = "another", "stop"
    file.append_turn("left", record.sides["left"])
    give(file, record, 1, Choice.RIGHT)
    assert file.path
    found = read_record(file.path)
    expected = [
        ("left one", "right one", "left", False),
        ("left two", "right two", "tie", True),
        ("another", "left two", "right", False),
    ]
    assert said(found.votes) == expected
    assert found.votes.of(found.sides["left"].turns[1], found.sides["right"].turns[1])
    rewritten = record_of(b"".join(map(encode_line, lines_of(found))))
    assert [vote.better.answer if vote.better else "" for vote in rewritten.votes] == [
        "left one",
        "",
        "left two",
    ]


def test_a_vote_that_was_taken_back(tmp_path: Path) -> None:
    file, record = written(tmp_path)
    give(file, record, 0, Choice.LEFT)
    give(file, record, 0, Choice.NONE)
    assert file.path
    assert len(read_record(file.path).votes) == 0


def test_lines_that_mean_nothing_are_skipped(tmp_path: Path) -> None:
    """Unknown turns, choices and types; a release without votes reads each of them as an unknown type."""
    file, record = written(tmp_path)
    give(file, record, 0, Choice.BOTH_BAD)
    assert file.path
    lines = [
        encode_line(VoteLine(0, 7, Choice.LEFT)),
        encode_line(VoteLine(-1, 0, Choice.LEFT)),
        b'{"type":"voted","left":1,"right":1,"choice":"middle"}\n',
        b'{"type":"voted","left":"left","right":1,"choice":"tie"}\n',
        b'{"type":"rated","left":1,"right":1,"stars":5}\n',
        b'{"type":"voted","left":1,"right":1,"choice":"tie","by":"x"}\n',
    ]
    found = record_of(file.path.read_bytes() + b"".join(lines))
    assert said(found.votes) == [
        ("left one", "right one", "both bad", False),
        ("left two", "right two", "tie", False),
    ]
    assert not found.has_gaps


def vote_on_a_full_disk(folder: Path) -> None:
    file, record = written(folder)
    with full_disk(0, file.path), pytest.raises(OSError, match="File too large"):
        give(file, record, 0, Choice.LEFT)
    assert file.unsaved == 1
    file.write()
    assert file.path
    assert said(read_record(file.path).votes) == [("left one", "right one", "left", False)]


def test_what_a_full_disk_refused_is_written_later(tmp_path: Path) -> None:
    run_alone(vote_on_a_full_disk, tmp_path)


def test_exports_have_the_votes_and_the_score(tmp_path: Path) -> None:
    file, record = written(tmp_path)
    give(file, record, 0, Choice.RIGHT)
    give(file, record, 1, Choice.LEFT, revealed=True)
    text = exported(record, ".md").decode()
    assert "*Blind vote: right is better.*" in text
    assert "*Blind vote: left is better; not counted, because the names were shown before.*" in text
    _, _, score = text.partition("## Blind votes")
    assert "- right won 1 · left won 0 · ties 0 · both bad 0 · not counted 1 (names shown)" in score
    assert "too few votes: 1 of 20 decided" in score
    found = json.loads(exported(record, ".json"))
    first, second = found["votes"]
    assert (first["left"], first["right"], first["choice"], first["better"]) == (0, 0, "right", "right")
    assert (second["revealed"], second["identical"]) == (True, False)
    assert found["scores"][0]["engines"][0] == {"title": "right", "digest": ""}
    assert (found["scores"][0]["wins"], found["scores"][0]["p"]) == ([1, 0], None)
    assert "Blind" not in exported(Record(), ".md").decode()
    assert json.loads(exported(Record(), ".json"))["votes"] == []
