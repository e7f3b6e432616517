"""Smoke test: each benchmark runs with sizes too small for meaningful figures."""

from __future__ import annotations

import pytest

from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.environment import TINY, BenchmarkEnvironment
from tests.benchmarks.machine import machine
from tests.benchmarks.table import Budget, Result, spread
from tests.doubles.fork_server import start_forked


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkEnvironment:
    """One store and one checkpoint for all benchmarks, and workers that start by a fork."""
    return BenchmarkEnvironment(tmp_path_factory.mktemp("bench"), TINY, start_worker=start_forked)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_runs(bench: BenchmarkEnvironment, name: str) -> None:
    result = BENCHMARKS[name](bench)
    assert result.name == name
    assert result.rows
    assert result.figures
    assert all(len(row) == len(result.columns) for row in result.rows)
    assert not any(character in result.method for character in "{}")


def test_the_report_of_the_machine_has_no_empty_line() -> None:
    assert all(machine().lines())


def test_a_missed_budget_is_reported_and_does_not_fail() -> None:
    missed = Budget("stop", 250.0, 200.0, " ms")
    assert missed.line() == "MISSED   stop: 250 ms (budget ≤ 200 ms)"
    assert Budget("decode", 4.0, 3.5, "×", at_least=True).met


def test_spread_is_median_and_range() -> None:
    assert spread([3.0, 1.0, 2.0]) == "2 [1–3]"


def test_result_is_a_markdown_table() -> None:
    result = Result("stop", "How.", ("engine", "ms"), [("PyTorch", "9")])
    assert "| PyTorch |  9 |" in result.lines()
