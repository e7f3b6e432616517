"""Quality metrics compared with values computed by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf, isnan, log, sqrt

import pytest

from engines.measure.quality import (
    MIN_REST,
    common_rows,
    first_divergent_token,
    kl_divergence,
    percentiles,
    perplexity,
    ppl_ratio_error,
    quality_card,
    root_mean_square,
    same_top,
    top_margin,
    wilson_interval,
    with_rest,
)


@dataclass(frozen=True)
class Scores:
    logprobs: tuple[float, ...]
    top_ids: tuple[tuple[int, ...], ...]
    top_logprobs: tuple[tuple[float, ...], ...]
    kl: tuple[float, ...] = ()


def logs(*shares: float) -> tuple[float, ...]:
    return tuple(log(share) for share in shares)


BASE = Scores(logs(0.5, 0.25), ((1, 2, 3), (4, 5, 6)), (logs(0.5, 0.3, 0.1), logs(0.6, 0.25, 0.05)))
OTHER = Scores(logs(0.4, 0.35), ((1, 3, 2), (5, 4, 9)), (logs(0.4, 0.3, 0.2), logs(0.5, 0.35, 0.05)))


def test_perplexity_of_two_equal_choices_is_two() -> None:
    assert perplexity(logs(0.5, 0.5, 0.5)) == pytest.approx(2)


def test_perplexity_with_a_zero_probability_is_infinite() -> None:
    assert perplexity([-inf, -1.0]) == inf
    assert perplexity([-2000.0]) == inf


def test_kl_divergence_by_hand() -> None:
    expected = 0.5 * log(0.5 / 0.9) + 0.5 * log(0.5 / 0.1)
    assert kl_divergence(logs(0.5, 0.5), logs(0.9, 0.1)) == pytest.approx(expected)


def test_kl_divergence_of_equal_rows_is_zero() -> None:
    row = logs(*[1 / 7] * 7)
    assert kl_divergence(row, row) == 0


def test_rounding_never_makes_a_divergence_negative() -> None:
    assert kl_divergence(logs(0.3, 0.7), logs(0.3 + 1e-17, 0.7)) >= 0


def test_kl_divergence_is_infinite_only_where_the_candidate_has_probability_zero() -> None:
    assert kl_divergence([log(0.5), log(0.5)], [0.0, -inf]) == inf
    assert kl_divergence([0.0, -inf], [log(0.5), log(0.5)]) == pytest.approx(log(2))


def test_rows_of_different_vocabularies_are_refused() -> None:
    with pytest.raises(ValueError, match=r"zip|shorter|longer"):
        kl_divergence([0.0], [0.0, -1.0])


def test_the_rest_makes_probabilities_sum_to_one() -> None:
    assert sum(exp(value) for value in with_rest(logs(0.5, 0.2))) == pytest.approx(1)
    assert with_rest(logs(0.5, 0.5))[-1] == log(MIN_REST)


def test_a_rest_lost_to_rounding_gives_no_infinite_divergence() -> None:
    base, candidate = with_rest([log(1 - 1e-7)]), with_rest([0.0])
    assert kl_divergence(base, candidate) < 1e-6


def test_common_rows_have_the_shared_tokens_and_the_rest() -> None:
    base, other = common_rows({1: log(0.5), 2: log(0.3)}, {2: log(0.4), 7: log(0.3)})
    assert base == pytest.approx(logs(0.3, 0.7))
    assert other == pytest.approx(logs(0.4, 0.6))


def test_a_divergence_of_common_tokens_is_a_lower_bound() -> None:
    base, other = logs(0.5, 0.3, 0.15, 0.05), logs(0.4, 0.3, 0.1, 0.2)
    ids = range(4)
    few = common_rows(dict(zip(ids, base[:2], strict=False)), dict(zip(ids, other[:2], strict=False)))
    assert 0 < kl_divergence(*few) <= kl_divergence(base, other)


def test_same_top_compares_the_most_likely_token_only() -> None:
    assert same_top([[1, 2], [3, 4]], [[1, 9], [4, 3]]) == 0.5


def test_the_margin_is_the_log_ratio_of_the_top_two() -> None:
    assert top_margin(logs(0.2, 0.41, 0.39)) == pytest.approx(log(0.41 / 0.39))
    assert top_margin([0.0]) == inf


def test_percentiles_have_llama_cpps_names_and_order() -> None:
    found = percentiles([float(n) for n in range(1001)])
    assert found == {
        "Maximum": 1000,
        "99.9%": 999,
        "99.0%": 990,
        "95.0%": 950,
        "90.0%": 900,
        "Median": 500,
        "10.0%": 100,
        "5.0%": 50,
        "1.0%": 10,
        "0.1%": 1,
        "Minimum": 0,
    }


def test_the_card_of_two_positions() -> None:
    card = quality_card(BASE, OTHER)
    assert card.tokens == 2
    assert card.ppl_base == pytest.approx((1 / 0.5 / 0.25) ** 0.5)
    assert card.ppl_ratio == pytest.approx(card.ppl / card.ppl_base)
    assert card.mean_delta_p == pytest.approx((-0.1 + 0.1) / 2)
    assert card.rms_delta_p == pytest.approx(0.1)
    assert card.same_top == 0.5
    assert card.kld["Maximum"] >= card.mean_kld >= card.kld["Minimum"] > 0


def test_a_model_compared_with_itself_has_no_difference() -> None:
    card = quality_card(BASE, BASE)
    assert (card.mean_kld, card.rms_delta_p, card.same_top, card.ppl_ratio) == (0, 0, 1, 1)


@pytest.mark.parametrize(
    "other",
    [
        Scores(logs(0.5), ((1,),), (logs(0.5),)),
        Scores(logs(0.5, 0.5), (), ()),
    ],
)
def test_scores_of_other_positions_are_refused(other: Scores) -> None:
    with pytest.raises(ValueError, match="same positions"):
        quality_card(BASE, other)


def test_metrics_without_values_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        perplexity([])
    with pytest.raises(ValueError, match="nothing"):
        root_mean_square([])


# --- first divergent token ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "prediction", "index"),
    [
        ([1, 2, 3], [1, 2, 3], None),
        ([1, 2, 3], [1, 9, 3], 1),
        ([1, 2, 3], [1, 2], 2),
        ([1, 2], [1, 2, 3], 2),
        ([], [], None),
        ([], [1], 0),
    ],
)
def test_the_first_divergent_token(reference: list[int], prediction: list[int], index: int | None) -> None:
    assert first_divergent_token(reference, prediction) == index


def test_the_divergence_of_the_whole_vocabulary_is_taken_where_it_was_computed() -> None:
    card = quality_card(BASE, replace(OTHER, kl=(0.5, 0.1)))
    assert card.mean_kld == pytest.approx(0.3)
    assert not card.at_least
    assert quality_card(BASE, OTHER).at_least


def test_the_error_of_the_perplexity_ratio_is_that_of_the_mean_difference() -> None:
    """By hand: the differences 0.1, 0.3 and 0.2 have the mean 0.2 and the standard deviation 0.1."""
    base, candidate = [-1.0, -2.0, -3.0], [-1.1, -2.3, -3.2]
    assert ppl_ratio_error(base, candidate) == pytest.approx(exp(0.2) * 0.1 / sqrt(3))
    assert isnan(ppl_ratio_error([-1.0], [-2.0]))


def test_wilson_interval_of_a_textbook() -> None:
    """Newcombe (1998), table I: 81 of 263 is 0.2553 to 0.3662, and 0 of 20 is 0 to 0.1611."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    with pytest.raises(ValueError, match="share of nothing"):
        wilson_interval(0, 0)
