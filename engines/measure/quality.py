"""Compare a quantised model with its reference, with the metrics of llama.cpp. Natural logarithms.

Reference P ("base") and candidate Q are compared teacher-forced, that is over the same token ids. The worker
computes the KLD over the whole vocabulary (`Scored.kl`). Where a library returns the most likely tokens only,
a row has the tokens that both sides have in their top k, with the remaining mass as one more entry
(`common_rows`), and the KLD is a lower bound. Formulas: llama.cpp, `tools/perplexity/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, inf, log, nan, sqrt
from statistics import stdev
from typing import Protocol

from engines.measure.timing import percentile

Row = Sequence[float]
MIN_REST = 1e-6
"""Precision of a sum of float32 probabilities near 1."""


@dataclass(frozen=True)
class QualityCard:
    """Quality of a candidate compared with its reference over the same tokens."""

    tokens: int
    """Number of scored positions."""
    ppl_base: float
    """Mean PPL(base) = exp(−mean ln P(x_t))."""
    ppl: float
    """Mean PPL(Q)."""
    ppl_ratio_error: float
    """Standard error of PPL(Q)/PPL(base), from the differences of the log-probabilities at each position."""
    mean_kld: float
    """Mean KLD in nats."""
    kld: dict[str, float]
    """KLD at KLD_PERCENTILES, by their names."""
    mean_delta_p: float
    """Mean Δp, Δp = Q(x_t) − P(x_t), as a fraction."""
    rms_delta_p: float
    """RMS Δp, as a fraction."""
    same_top: float
    """Same top p: fraction of the positions where both have the same most likely token."""
    same_top_interval: tuple[float, float]
    """95 % confidence interval of `same_top`, Wilson's."""
    at_least: bool
    """Whether the KLDs are lower bounds, from the most likely tokens only."""

    @property
    def ppl_ratio(self) -> float:
        """Mean PPL(Q)/PPL(base)."""
        return self.ppl / self.ppl_base


KLD_PERCENTILES = (
    ("Maximum", 100.0),
    ("99.9%", 99.9),
    ("99.0%", 99.0),
    ("95.0%", 95.0),
    ("90.0%", 90.0),
    ("Median", 50.0),
    ("10.0%", 10.0),
    ("5.0%", 5.0),
    ("1.0%", 1.0),
    ("0.1%", 0.1),
    ("Minimum", 0.0),
)


class ScoredText(Protocol):
    """Teacher-forced scores of n positions; `engines.worker.protocol.Scored` implements it."""

    @property
    def logprobs(self) -> Sequence[float]:
        """ln-probability of each token of the text, [n]."""

    @property
    def top_ids(self) -> Sequence[Sequence[int]]:
        """The most likely tokens of each position, best first, [n, k]."""

    @property
    def top_logprobs(self) -> Sequence[Row]:
        """The ln-probabilities of `top_ids`, [n, k]."""

    @property
    def kl(self) -> Sequence[float]:
        """KL divergence from the reference over the whole vocabulary, [n]; empty if it was not computed."""


def quality_card(base: ScoredText, candidate: ScoredText) -> QualityCard:
    """Compare a candidate with its reference over the same tokens.

    Raises:
        ValueError: there are no positions, the numbers of positions differ, or one has no top tokens.
    """
    sizes = {len(part) for one in (base, candidate) for part in (one.logprobs, one.top_ids, one.top_logprobs)}
    if len(sizes) != 1 or sizes == {0}:
        raise ValueError("reference and candidate were not scored over the same positions")
    divergences, at_least = position_divergences(base, candidate), not candidate.kl
    deltas = delta_p(base.logprobs, candidate.logprobs)
    agreement = same_top(base.top_ids, candidate.top_ids)
    return QualityCard(
        tokens=len(divergences),
        ppl_base=perplexity(base.logprobs),
        ppl=perplexity(candidate.logprobs),
        ppl_ratio_error=ppl_ratio_error(base.logprobs, candidate.logprobs),
        mean_kld=mean(divergences),
        kld=percentiles(divergences),
        mean_delta_p=mean(deltas),
        rms_delta_p=root_mean_square(deltas),
        same_top=agreement,
        same_top_interval=wilson_interval(round(agreement * len(divergences)), len(divergences)),
        at_least=at_least,
    )


def position_divergences(base: ScoredText, candidate: ScoredText) -> list[float]:
    """Return the KLD of each position: over the whole vocabulary if the worker has computed it.

    From top-k scores it is a lower bound: all tokens outside the common ones count as a single token.
    """
    if candidate.kl:
        return list(candidate.kl)
    return [kl_divergence(*common_rows(p, q)) for p, q in zip(_tops(base), _tops(candidate), strict=True)]


def ppl_ratio_error(base_logprobs: Sequence[float], logprobs: Sequence[float]) -> float:
    """Return the standard error of PPL(Q)/PPL(base).

    The ratio is exp of the mean of d_i = ln P(x_i) − ln Q(x_i), so its error is the ratio times the standard
    error of that mean; the covariance of both sides is in the differences. NaN for less than two positions.
    """
    differences = [p - q for p, q in zip(base_logprobs, logprobs, strict=True)]
    if len(differences) < 2 or inf in map(abs, differences):
        return nan
    return exp(mean(differences)) * stdev(differences) / sqrt(len(differences))


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's score interval of a share: 95 % confidence for z = 1.96.

    Raises:
        ValueError: there are no trials.
    """
    if trials < 1:
        raise ValueError("the share of nothing")
    share, square = successes / trials, z * z
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    spread = z / (1 + square / trials) * sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return max(0.0, centre - spread), min(1.0, centre + spread)


def perplexity(logprobs: Sequence[float]) -> float:
    """Return PPL = exp(−mean ln Q(x_t)); infinite if a token has the probability 0.

    Raises:
        ValueError: there are no values.
    """
    cross_entropy = -mean(logprobs)
    # exp overflows above ln(largest float) = 709.8.
    return exp(cross_entropy) if cross_entropy < 709 else inf


def kl_divergence(base: Row, candidate: Row) -> float:
    """Return the KLD of one position in nats: Σ P · (ln P − ln Q), at least 0.

    With rows of `common_rows` it is a lower bound of the KLD over the whole vocabulary.

    Raises:
        ValueError: the rows differ in length.
    """
    terms = [exp(p) * (p - q) for p, q in zip(base, candidate, strict=True) if p > -inf]
    return inf if inf in terms else max(0.0, fsum(terms))


def common_rows(base: Mapping[int, float], candidate: Mapping[int, float]) -> tuple[list[float], list[float]]:
    """Return comparable rows from two top-k lists: common tokens, the reference's best first, and the rest.

    Args:
        base: token id to log-probability of the reference.
        candidate: the same of the candidate, which may have other ids.
    """
    shared = sorted(base.keys() & candidate.keys(), key=lambda token: (-base[token], token))
    return with_rest([base[token] for token in shared]), with_rest([candidate[token] for token in shared])


def with_rest(logprobs: Row) -> list[float]:
    """Return the row with the log-probability of all other tokens appended.

    The rest is at least MIN_REST: a rest of 0 from a rounding error would make the KLD infinite.
    """
    rest = 1 - fsum(exp(value) for value in logprobs)
    return [*logprobs, log(max(rest, MIN_REST))]


def delta_p(base_logprobs: Sequence[float], logprobs: Sequence[float]) -> list[float]:
    """Return Δp = Q(x_t) − P(x_t) of each token, as a fraction.

    Raises:
        ValueError: the sequences differ in length.
    """
    return [exp(q) - exp(p) for p, q in zip(base_logprobs, logprobs, strict=True)]


def same_top(base_ids: Sequence[Sequence[int]], ids: Sequence[Sequence[int]]) -> float:
    """Return the fraction of positions where both have the same most likely token.

    Args:
        base_ids: the reference's most likely tokens of each position, best first.
        ids: those of the candidate.

    Raises:
        ValueError: there are no positions, or the numbers of positions differ.
    """
    return mean([float(p[:1] == q[:1]) for p, q in zip(base_ids, ids, strict=True)])


def top_margin(row: Row) -> float:
    """Return ln P(most likely) − ln P(second) in nats: near 0 is a tie. Infinite for a single entry."""
    first, second = [*sorted(row, reverse=True), -inf][:2]
    return first - second


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return the values at KLD_PERCENTILES, with llama.cpp's names.

    Raises:
        ValueError: there are no values.
    """
    ordered = sorted(values)
    return {name: percentile(ordered, percent) for name, percent in KLD_PERCENTILES}


def mean(values: Sequence[float]) -> float:
    """Return the mean, computed with an exact sum.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("the mean of nothing")
    return fsum(values) / len(values)


def root_mean_square(values: Sequence[float]) -> float:
    """Return sqrt(mean v²).

    Raises:
        ValueError: there are no values.
    """
    return sqrt(mean([value * value for value in values]))


def first_divergent_token(reference: Sequence[int], prediction: Sequence[int]) -> int | None:
    """Return the index of the first different token, or the length of a shorter prefix; None if equal."""
    for index, (a, b) in enumerate(zip(reference, prediction, strict=False)):
        if a != b:
            return index
    shorter = min(len(reference), len(prediction))
    return None if len(reference) == len(prediction) else shorter


def _tops(scored: ScoredText) -> list[dict[int, float]]:
    return [
        dict(zip(ids, row, strict=True)) for ids, row in zip(scored.top_ids, scored.top_logprobs, strict=True)
    ]
