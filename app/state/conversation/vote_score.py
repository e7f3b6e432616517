"""The score of a blind vote, for each pair of engines.

Ties and answers that are both bad are counted and not decided: the share of wins and its test are over the
decided votes. Either engine may be on either side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import comb

from app.state.conversation.turn import Turn
from app.state.conversation.votes import Choice, Vote
from app.units import MISSING, percent_text
from engines.measure.quality import wilson_interval

ENOUGH = 20
"""Decided votes below which no p is shown. At 20, 15 wins to 5 are needed for p < 0.05."""
DIGEST = 6
"""Characters of a digest that are shown where two engines have one title."""


@dataclass(frozen=True, order=True)
class VotedEngine:
    """An engine that gave an answer."""

    title: str
    digest: str
    """Its fingerprint and KV precision; empty where it is not known."""


@dataclass(frozen=True)
class Score:
    """The votes on two engines."""

    engines: tuple[VotedEngine, VotedEngine]
    """The one with more wins first. Both are the same one in a control run."""
    wins: tuple[int, int]
    ties: int
    """Identical answers included."""
    identical: int
    both_bad: int
    not_counted: int
    """Votes that were given after the names were shown."""

    @property
    def is_control(self) -> bool:
        """Whether one engine gave all answers, so that neither side can be better."""
        return self.engines[0] == self.engines[1]

    @property
    def decided(self) -> int:
        """Votes for one of the engines."""
        return sum(self.wins)

    @property
    def share(self) -> float | None:
        """Share of the decided votes that the first engine won; None without such a vote."""
        return self.wins[0] / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of `share`."""
        return wilson_interval(self.wins[0], self.decided) if self.decided else None

    @property
    def p(self) -> float | None:
        """Two-sided binomial p of the wins; None below ENOUGH decided votes, and in a control run."""
        if self.is_control or self.decided < ENOUGH:
            return None
        return binomial_p(self.wins[0], self.decided)


def binomial_p(successes: int, trials: int) -> float:
    """Return the exact two-sided p of a binomial test against the probability 1/2, the sign test.

    p = min(1, 2 · Σ_{i ≥ max(k, n−k)} C(n, i) / 2ⁿ). The distribution is symmetric, so twice the tail is the
    sum of every outcome that is not more likely than the observed one. Source: Conover, Practical
    Nonparametric Statistics, 3rd edition, section 3.4 (sign test); `scipy.stats.binomtest` gives the same.
    """
    tail = sum(comb(trials, count) for count in range(max(successes, trials - successes), trials + 1))
    return min(1.0, 2 * tail / (1 << trials))


def scores(votes: Iterable[Vote]) -> list[Score]:
    """Return the score of each pair of engines, that with most votes first."""
    groups: dict[frozenset[VotedEngine], list[Vote]] = {}
    for vote in votes:
        groups.setdefault(frozenset((_engine(vote.left), _engine(vote.right))), []).append(vote)
    return [_score(*group) for group in sorted(groups.items(), key=lambda group: -len(group[1]))]


def score_lines(votes: Iterable[Vote]) -> list[str]:
    """Return two lines for each pair of engines: the counts, then what they say; none without votes."""
    found = scores(votes)
    names = _names(engine for score in found for engine in score.engines)
    return [line for score in found for line in (_counts(score, names), _verdict(score, names))]


def _score(engines: frozenset[VotedEngine], votes: list[Vote]) -> Score:
    counted = [vote for vote in votes if vote.counts]
    wins = Counter(_engine(vote.better) for vote in counted if vote.better)
    ordered = sorted(engines, key=lambda engine: (-wins[engine], engine))
    first, last = ordered[0], ordered[-1]
    choices = Counter(vote.choice for vote in counted)
    return Score(
        engines=(first, last),
        wins=(wins[first], 0 if first == last else wins[last]),
        ties=choices[Choice.TIE],
        identical=sum(vote.choice is Choice.TIE and vote.identical for vote in counted),
        both_bad=choices[Choice.BOTH_BAD],
        not_counted=sum(vote.revealed and vote.choice is not Choice.NONE for vote in votes),
    )


def _counts(score: Score, names: dict[VotedEngine, str]) -> str:
    if score.is_control:
        parts = [f"control run, {names[score.engines[0]]} on both sides", f"decided {score.decided}"]
    else:
        parts = [
            f"{names[engine]} won {wins}" for engine, wins in zip(score.engines, score.wins, strict=True)
        ]
    identical = f" ({score.identical} identical)" if score.identical else ""
    parts += [f"ties {score.ties}{identical}", f"both bad {score.both_bad}"]
    if score.not_counted:
        parts.append(f"not counted {score.not_counted} (names shown)")
    return " · ".join(parts)


def _verdict(score: Score, names: dict[VotedEngine, str]) -> str:
    if score.is_control:
        return "Neither side can be better: one engine gave both answers."
    few = f"too few votes: {score.decided} of {ENOUGH} decided"
    if score.share is None or score.interval is None:
        return few
    low, high = score.interval
    share = f"{names[score.engines[0]]} won {percent_text(100 * score.share)} of the decided votes"
    words = f"{share}, 95 % interval {percent_text(100 * low)} to {percent_text(100 * high)} (Wilson)"
    if score.p is None:
        return f"{words}; {few}"
    return f"{words}; {_p_text(score.p)} (two-sided binomial against 1/2)"


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _engine(turn: Turn) -> VotedEngine:
    return VotedEngine(turn.engine or MISSING, turn.engine_digest)


def _names(engines: Iterable[VotedEngine]) -> dict[VotedEngine, str]:
    """Return the titles; with a part of the digest where several engines have the same."""
    distinct = set(engines)
    times = Counter(engine.title for engine in distinct)
    return {one: f"{one.title} {one.digest[:DIGEST] * (times[one.title] > 1)}".strip() for one in distinct}
