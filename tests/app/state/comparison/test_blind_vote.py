"""Which pairs are voted on, in which order, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.comparison.blind_vote import BlindVote, Skip, notes, why_skipped
from app.state.conversation.conversation import Conversation, Turn
from app.state.conversation.votes import Choice, Votes
from engines.worker.protocol import Error, Sampling

DIED = Error(0, "worker-died", "It ended.")


def turn(prompt: str, answer: str, engine: str) -> Turn:
    return Turn(
        prompt,
        answer,
        prompt_digest=prompt,
        reason="stop",
        engine=engine,
        engine_digest=engine,
        sampling=Sampling(),
    )


class Talk:
    """Two sides that have answered prompts, and a vote on their answers."""

    def __init__(self, *prompts: str, left_is_a: bool = True) -> None:
        self.left, self.right, self.votes = Conversation(), Conversation(), Votes()
        for prompt in prompts:
            self.say(prompt)
        self.poll = BlindVote(lambda: (self.left, self.right), lambda: self.votes, lambda: left_is_a)
        self.poll.refresh()

    def say(self, prompt: str, left: str = "x", right: str = "y") -> tuple[Turn, Turn]:
        """Add a prompt with both answers."""
        added = turn(prompt, f"{prompt} {left}", "X"), turn(prompt, f"{prompt} {right}", "Y")
        for conversation, one in zip((self.left, self.right), added, strict=True):
            conversation.add(one)
        return added

    @property
    def shown(self) -> list[str]:
        """Return A and B."""
        return [one.answer for one in self.poll.current.answers] if self.poll.current else []


def test_every_pair_is_shown_until_it_has_a_vote() -> None:
    talk = Talk("one", "two")
    assert talk.shown == ["one x", "one y"]
    assert talk.poll.waiting == 2
    talk.poll.vote(Choice.LEFT)
    assert talk.shown == ["two x", "two y"]
    talk.poll.vote(Choice.BOTH_BAD)
    assert talk.shown == []
    assert [vote.choice for vote in talk.votes] == [Choice.LEFT, Choice.BOTH_BAD]
    assert [vote.choice for vote in talk.poll.take_unsaved()] == [Choice.LEFT, Choice.BOTH_BAD]
    assert talk.poll.take_unsaved() == []


@pytest.mark.parametrize("left_is_a", [True, False])
def test_a_and_b_are_shuffled(left_is_a: bool) -> None:
    talk = Talk("one", left_is_a=left_is_a)
    assert talk.shown == (["one x", "one y"] if left_is_a else ["one y", "one x"])
    ballot = talk.poll.current
    assert ballot
    assert [ballot.choice(0), ballot.choice(1)] == (
        [Choice.LEFT, Choice.RIGHT] if left_is_a else [Choice.RIGHT, Choice.LEFT]
    )


def test_the_order_is_drawn_once_for_each_pair() -> None:
    talk = Talk("one", "two")
    draws = iter([True, False])
    talk.poll = BlindVote(lambda: (talk.left, talk.right), lambda: talk.votes, lambda: next(draws))
    talk.poll.refresh()
    talk.poll.refresh()
    assert talk.shown == ["one x", "one y"]
    talk.poll.pass_on()
    assert talk.shown == ["two y", "two x"]
    talk.poll.pass_on()
    assert talk.shown == ["one x", "one y"]


def test_undo_shows_the_pair_again() -> None:
    talk = Talk("one", "two")
    assert not talk.poll.undo()
    talk.poll.vote(Choice.RIGHT)
    assert talk.poll.undo()
    assert talk.shown == ["one x", "one y"]
    assert len(talk.votes) == 0
    assert [vote.choice for vote in talk.poll.take_unsaved()] == [Choice.RIGHT, Choice.NONE]
    assert not talk.poll.undo()


def test_undo_of_a_vote_that_is_no_longer_shown() -> None:
    """Another version was chosen meanwhile: there is nothing to show again, and the vote stays."""
    talk = Talk("one")
    talk.poll.vote(Choice.RIGHT)
    talk.left.begin_again("X")
    assert not talk.poll.undo()
    assert len(talk.votes) == 1


def test_after_the_names_were_shown_no_vote_counts() -> None:
    talk = Talk("one", "two")
    talk.poll.reveal()
    talk.poll.reveal()
    assert talk.poll.is_revealed
    assert talk.shown == ["one x", "one y"]
    talk.poll.vote(Choice.LEFT)
    assert not talk.poll.is_revealed
    [vote] = talk.votes
    assert not vote.counts
    assert talk.poll.undo()
    assert talk.poll.is_revealed
    talk.poll.pass_on()
    assert talk.shown == ["two x", "two y"]
    talk.poll.pass_on()
    assert talk.shown == ["two x", "two y"], "a pair whose names were seen does not come again"


def test_identical_answers_are_ties() -> None:
    talk = Talk()
    left, right = talk.say("one", "same", "same")
    assert "identical" in talk.poll.continue_with(left, right)
    [vote] = talk.votes
    assert vote.choice is Choice.TIE
    assert talk.poll.take_unsaved() == [vote]
    assert talk.poll.identical == 1
    assert notes(talk.poll) == ["Counted as ties, because the answers are identical: 1."]
    talk.poll.refresh()
    assert talk.poll.identical == 1
    assert talk.poll.take_unsaved() == []


def test_a_new_prompt_is_next() -> None:
    talk = Talk("one")
    assert talk.poll.continue_with(*talk.say("two")) == ""
    assert talk.shown == ["two x", "two y"]
    left, right = talk.say("three")
    right.error = DIED
    assert talk.poll.continue_with(left, right) == "not comparable, an answer failed"
    assert talk.shown == ["one x", "one y"]


def test_what_is_said_of_a_pair() -> None:
    talk = Talk("one", "two")
    assert notes(talk.poll) == []
    talk.poll.pass_on()
    assert notes(talk.poll) == ["The conversations before this prompt differ: each answer continues its own."]
    control = Talk()
    left, right = control.say("one")
    right.engine_digest = left.engine_digest
    control.left.begin("only here", "X")
    control.poll.refresh()
    assert notes(control.poll) == [
        "Control run: one engine gave both answers.",
        "Skipped as not comparable: 1 (asked on one side only: 1).",
    ]


LEFT = turn("one", "an answer", "X")


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        (replace(LEFT, answer="another"), None),
        (replace(LEFT, sampling=Sampling(seed=3)), None),
        (replace(LEFT, reason="length"), None),
        (replace(LEFT, error=DIED), Skip.FAILED),
        (replace(LEFT, reason="stopped"), Skip.INCOMPLETE),
        (replace(LEFT, reason=""), Skip.INCOMPLETE),
        (replace(LEFT, answer=""), Skip.INCOMPLETE),
        (replace(LEFT, system_prompt="Be short."), Skip.SYSTEM_PROMPT),
        (replace(LEFT, sampling=Sampling(temperature=1.0)), Skip.SAMPLING),
        (replace(LEFT, sampling=None), Skip.SAMPLING),
        (replace(LEFT, prompt_digest="other"), Skip.TOKENS),
    ],
)
def test_what_is_not_comparable(right: Turn, reason: Skip | None) -> None:
    assert why_skipped(LEFT, right, same_start=True) == reason
    assert why_skipped(right, LEFT, same_start=True) == reason


def test_other_answers_before_make_other_tokens() -> None:
    right = replace(LEFT, prompt_digest="other")
    assert why_skipped(LEFT, right, same_start=False) is None
