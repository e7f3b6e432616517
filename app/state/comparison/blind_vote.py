"""A blind vote: which pairs of answers are voted on, which of them is A, and what was decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from app.state.conversation.agreement import is_control
from app.state.conversation.alignment import index_of, pairs
from app.state.conversation.conversation import Conversation
from app.state.conversation.turn import Turn
from app.state.conversation.votes import Choice, Vote, Votes, pair_key

COMPLETE = ("stop", "length", "context")
"""Finish reasons of answers that were not stopped by the user."""


class Skip(StrEnum):
    """Why a pair of answers is not voted on."""

    ONE_SIDE = "asked on one side only"
    FAILED = "an answer failed"
    INCOMPLETE = "an answer is not complete"
    SYSTEM_PROMPT = "other system prompts"
    SAMPLING = "other sampling"
    TOKENS = "the prompt became other tokens"


@dataclass(frozen=True)
class Ballot:
    """Two answers to one prompt, in the order in which they are shown."""

    left: Turn
    right: Turn
    left_is_a: bool
    same_start: bool
    """Whether both conversations were the same before this prompt."""

    @property
    def answers(self) -> tuple[Turn, Turn]:
        """A and B."""
        return (self.left, self.right) if self.left_is_a else (self.right, self.left)

    @property
    def is_control(self) -> bool:
        """Whether one engine gave both answers."""
        return is_control(self.left, self.right)

    def choice(self, better: int) -> Choice:
        """Return the choice that says A (0) or B (1) is better."""
        return Choice.LEFT if self.answers[better] is self.left else Choice.RIGHT


class BlindVote:
    """Goes through the pairs of a conversation that have no vote, one after the other.

    Attributes:
        current: the pair to vote on; None while there is none.
        is_revealed: whether the names of its engines are shown.
        waiting: how many pairs have no vote yet.
        identical: how many pairs are identical answers, which are ties without a vote.
        skipped: how many pairs are not comparable, by the reason.
    """

    def __init__(
        self,
        conversations: Callable[[], tuple[Conversation, Conversation]],
        votes: Callable[[], Votes],
        draw: Callable[[], bool],
    ) -> None:
        """Create it.

        Args:
            conversations: returns those of the left and the right side.
            votes: returns the votes on them.
            draw: returns at random whether the left answer is A.
        """
        self._conversations, self._votes, self._draw = conversations, votes, draw
        self.current: Ballot | None = None
        self.is_revealed = False
        self.identical = 0
        self.skipped: Counter[Skip] = Counter()
        self._reasons: dict[frozenset[int], Skip] = {}
        self._open: list[Ballot] = []
        self._orders: dict[frozenset[int], bool] = {}
        """Whether the left answer is A, drawn once for each pair."""
        self._passed: list[frozenset[int]] = []
        """Pairs that were left without a vote; they come last."""
        self._given: list[tuple[Ballot, bool]] = []
        """What was voted on since the start, and whether the names were shown, oldest first."""
        self._unsaved: list[Vote] = []

    @property
    def waiting(self) -> int:
        """How many pairs have no vote yet."""
        return len(self._open)

    def refresh(self) -> None:
        """Look for pairs again; new ones with identical answers become ties."""
        self.identical, self._open, self._reasons = 0, [], {}
        self.skipped.clear()
        left, right = self._conversations()
        for pair in pairs(left.turns, right.turns):
            self._sort(*pair)
        if self.current is None or not self._is_shown(self.current):
            self._take_next()

    def take_unsaved(self) -> list[Vote]:
        """Return the votes that were given, marked or taken back since the last call, oldest first."""
        unsaved, self._unsaved = self._unsaved, []
        return unsaved

    def continue_with(self, left: Turn, right: Turn) -> str:
        """Go to the answers to a new prompt; return why they are not voted on, empty if they are."""
        self.current = None
        self.refresh()
        found = next((one for one in self._open if one.left is left and one.right is right), None)
        if found:
            self._show(found)
            return ""
        reason = self._reasons.get(pair_key(left, right))
        return f"not comparable, {reason.value}" if reason else "the answers are identical, which is a tie"

    def vote(self, choice: Choice) -> None:
        """Vote on the current pair, if there is one, and go to the next."""
        if ballot := self.current:
            self._given.append((ballot, self.is_revealed))
            self._put(ballot, choice, revealed=self.is_revealed)
            self.current = None
            self.refresh()

    def reveal(self) -> None:
        """Show the names of the current pair. It is marked as seen, so that no later vote on it counts."""
        if self.current and not self.is_revealed:
            self.is_revealed = True
            self._put(self.current, Choice.NONE, revealed=True)
            self.refresh()

    def undo(self) -> bool:
        """Take the last vote back and show its pair again; False without one."""
        while self._given:
            ballot, revealed = self._given.pop()
            if self._is_shown(ballot):
                self._put(ballot, Choice.NONE, revealed=revealed)
                self.refresh()
                self._show(ballot)
                self.is_revealed = revealed
                return True
        return False

    def pass_on(self) -> None:
        """Leave the current pair without a vote: it comes again after the others."""
        if self.current is not None:
            key = pair_key(self.current.left, self.current.right)
            self._passed = [*(one for one in self._passed if one != key), key]
            self.current = None
            self.refresh()

    def _put(self, ballot: Ballot, choice: Choice, *, revealed: bool = False) -> None:
        vote = Vote(ballot.left, ballot.right, choice, revealed)
        self._votes().put(vote)
        self._unsaved.append(vote)

    def _sort(self, left: Turn | None, right: Turn | None) -> None:
        """Count a pair as skipped, identical or open, unless it has a vote."""
        if left is None or right is None:
            self.skipped[Skip.ONE_SIDE] += 1
            return
        if vote := self._votes().of(left, right):
            self.identical += vote.choice is Choice.TIE and vote.identical
            return
        key, same_start = pair_key(left, right), self._starts_the_same(left, right)
        if reason := why_skipped(left, right, same_start=same_start):
            self._reasons[key] = reason
            self.skipped[reason] += 1
            return
        if key not in self._orders:
            self._orders[key] = self._draw()
        ballot = Ballot(left, right, self._orders[key], same_start)
        if left.answer == right.answer:
            self.identical += 1
            self._put(ballot, Choice.TIE)
        else:
            self._open.append(ballot)

    def _starts_the_same(self, left: Turn, right: Turn) -> bool:
        one, other = self._conversations()
        return list(_said_before(left, one)) == list(_said_before(right, other))

    def _is_shown(self, ballot: Ballot) -> bool:
        """Return whether the answers are on the paths that the sides show."""
        both = zip((ballot.left, ballot.right), self._conversations(), strict=True)
        return all(index_of(turn, conversation) is not None for turn, conversation in both)

    def _take_next(self) -> None:
        order = {key: place for place, key in enumerate(self._passed)}
        by_place = sorted(self._open, key=lambda one: order.get(pair_key(one.left, one.right), -1))
        self._show(by_place[0] if by_place else None)

    def _show(self, ballot: Ballot | None) -> None:
        self.current, self.is_revealed = ballot, False


def why_skipped(left: Turn, right: Turn, *, same_start: bool) -> Skip | None:
    """Return why two answers to one prompt are not comparable; None if they are.

    Args:
        same_start: whether the conversations before the prompt are the same. Otherwise each engine continues
            its own answers, and so the prompts are other tokens.
    """
    both = (left, right)
    if any(turn.error for turn in both):
        return Skip.FAILED
    if not all(turn.answered and turn.reason in COMPLETE for turn in both):
        return Skip.INCOMPLETE
    if left.system_prompt != right.system_prompt:
        return Skip.SYSTEM_PROMPT
    if _without_seed(left) != _without_seed(right):
        return Skip.SAMPLING
    if same_start and left.prompt_digest != right.prompt_digest:
        return Skip.TOKENS
    return None


def notes(poll: BlindVote) -> list[str]:
    """Return what has to be known of the current pair, and of the pairs that are not voted on."""
    lines, ballot = [], poll.current
    if ballot and ballot.is_control:
        lines.append("Control run: one engine gave both answers.")
    if ballot and not ballot.same_start:
        lines.append("The conversations before this prompt differ: each answer continues its own.")
    if poll.identical:
        lines.append(f"Counted as ties, because the answers are identical: {poll.identical}.")
    if poll.skipped:
        reasons = ", ".join(f"{reason.value}: {count}" for reason, count in poll.skipped.items())
        lines.append(f"Skipped as not comparable: {poll.skipped.total()} ({reasons}).")
    return lines


def _without_seed(turn: Turn) -> object:
    """Return the sampling. The seed differs between versions, and means nothing across engines."""
    sampling = turn.effective_sampling
    return replace(sampling, seed=0) if sampling else None


def _said_before(turn: Turn, conversation: Conversation) -> Iterator[tuple[str, str]]:
    """Yield the prompts and answers that the engine read before this one's prompt."""
    index = index_of(turn, conversation) or 0
    answered = [one for one in conversation.turns[:index] if one.answered]
    for one in answered[turn.left_out :]:
        yield one.content, one.answer
