"""Votes of a blind vote: which of two answers to one prompt is better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.state.conversation.turn import Turn


class Choice(StrEnum):
    """What a vote says of a left and a right answer."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    BOTH_BAD = "both bad"
    NONE = "none"
    """Not decided: the names were shown before a vote was given, or the vote was taken back."""


_MIRRORED = {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}


@dataclass(frozen=True, eq=False)
class Vote:
    """A vote on two turns. It keeps the turns, so it stays right when the sides change places."""

    left: Turn
    """The answer that was on the left side when the vote was given."""
    right: Turn
    choice: Choice
    revealed: bool = False
    """Whether the names of the engines were shown before. Such a vote does not count."""

    @property
    def mirrored(self) -> Vote:
        """The same vote with the sides exchanged."""
        return Vote(self.right, self.left, _MIRRORED.get(self.choice, self.choice), self.revealed)

    @property
    def better(self) -> Turn | None:
        """The better answer; None for any other choice."""
        return {Choice.LEFT: self.left, Choice.RIGHT: self.right}.get(self.choice)

    @property
    def identical(self) -> bool:
        """Whether both answers are the same text, which is a tie without anyone's judgement."""
        return self.left.answer == self.right.answer

    @property
    def counts(self) -> bool:
        """Whether it is part of the score."""
        return self.choice is not Choice.NONE and not self.revealed


class Votes:
    """The votes of a conversation, at most one for each pair of answers, oldest first."""

    def __init__(self, votes: Iterable[Vote] = ()) -> None:
        self._votes: dict[frozenset[int], Vote] = {}
        """By the identities of both turns: two answers may be equal, and either may be on the left."""
        for vote in votes:
            self.put(vote)

    def __iter__(self) -> Iterator[Vote]:
        return iter(tuple(self._votes.values()))

    def __len__(self) -> int:
        return len(self._votes)

    def put(self, vote: Vote) -> None:
        """Add a vote in place of an earlier one on the same answers; one without a choice removes that."""
        key = pair_key(vote.left, vote.right)
        self._votes.pop(key, None)
        if vote.choice is not Choice.NONE or vote.revealed:
            self._votes[key] = vote

    def of(self, one: Turn, other: Turn) -> Vote | None:
        """Return the vote on two answers; None without one."""
        return self._votes.get(pair_key(one, other))


def pair_key(one: Turn, other: Turn) -> frozenset[int]:
    """Return what identifies a pair of turns, whichever of them is on the left."""
    return frozenset((id(one), id(other)))
