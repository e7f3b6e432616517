"""The noise floor: from exact weights only, and never from an engine that computes something else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engines.compare.comparison import Row
from engines.compare.noise import is_exact, noise_floor
from tests.engines.compare.sample import COMPARISON, card, row

REFERENCE = replace(COMPARISON.reference, precision="fp32")


def measured(precision: str, kld: float, *, at_least: bool = False) -> Row:
    return replace(row(f"OpenVINO {precision}", 1, card(kld, at_least=at_least)), precision=precision)


@pytest.mark.parametrize(
    ("precision", "dtype", "exact"),
    [
        ("fp32", "bf16", True),
        ("bf16", "bf16", True),
        ("fp16", "bf16", False),
        ("bf16", "fp16", False),
        ("fp32", "fp16", True),
        ("bf16", "fp32", False),
        ("int8", "int8", False),
        ("fp32", "", False),
    ],
)
def test_which_precisions_hold_every_value(precision: str, dtype: str, exact: bool) -> None:
    assert is_exact(precision, dtype) is exact


def test_the_floor_is_the_largest_divergence_of_exact_weights() -> None:
    rows = [measured("bf16", 2e-4), measured("fp32", 1e-9), measured("int8", 0.003)]
    assert noise_floor(REFERENCE, rows, "bf16") == 2e-4
    assert noise_floor(REFERENCE, rows, "fp32") == 1e-9
    assert noise_floor(REFERENCE, rows[2:], "bf16") is None
    assert noise_floor(REFERENCE, rows, "") is None


def test_lower_bounds_and_engines_that_compute_something_else_are_left_out() -> None:
    rows = [measured("bf16", 0.4), measured("fp32", 1e-3, at_least=True)]
    assert noise_floor(REFERENCE, rows, "bf16") is None
    assert noise_floor(replace(REFERENCE, precision="int8"), [measured("fp32", 1e-3)], "bf16") is None


def test_a_row_is_noise_up_to_the_floor() -> None:
    comparison = replace(COMPARISON, noise_floor=0.0025)
    assert [comparison.is_noise(one) for one in comparison.rows] == [True, False, False, False]
    assert not any(COMPARISON.is_noise(one) for one in COMPARISON.rows)
