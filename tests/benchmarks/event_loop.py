"""Event loop lag while both sides stream, and the CPU cost of a turn in a long chat."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from app.state.settings.settings import TimingMode
from engines.measure.timing import percentile
from tests.benchmarks.environment import BenchmarkEnvironment, BenchmarkSizes
from tests.benchmarks.measured_app import MeasuredApp, running
from tests.benchmarks.table import Budget, Result
from tests.doubles.paced_worker import NAME

METHOD = """\
The app on a pseudo-terminal of 160×48 whose output is read, every panel on. Both sides stream Markdown
(paragraphs, lists, code, tables, about 4 characters per token) at the same time, from worker processes with a
fixed rate, after {history} turns and after {long_history}. A task in the app's event loop sleeps 5 ms in a
loop; the lag is how late it wakes up, from Enter until both answers are drawn completely. {answers} answers
of {calm:g} s at 100 tok/s each, and of {fast:g} s at 500 tok/s each. The cost of a turn is the CPU time of
the app process for an answer of {tokens} tokens on both sides: the median of {turns}. It includes drawing
the panels during prefill."""
ENGINE = f"{NAME}:fp32"
RATES = ((100, 16.0), (500, 33.0))
"""Tok/s of each side, and the budget of the lag p95 in milliseconds."""
WIDGETS = 300
MEGABYTES = 120.0
FLAT = 1.25
"""Maximum ratio of the cost of a turn after a long chat to that after a short one."""
IDLE_SECONDS = 3.0
HISTORY_RATE, HISTORY_TOKENS = 3_000, 300


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure idle lag, then lag at two rates and the cost of a turn, after a short and a long chat."""
    sizes = bench.sizes
    calm, fast = sizes.stream_seconds
    method = METHOD.format(
        history=sizes.history,
        long_history=sizes.long_history,
        answers=sizes.answers,
        calm=calm,
        fast=fast,
        tokens=HISTORY_TOKENS,
        turns=sizes.costed_turns,
    )
    columns = ("", "p50 ms", "p95 ms", "p99 ms", "longest ms", "tok/s each")
    result = Result("event_loop", method, columns)
    costs = []
    with running(
        bench, bench.random_checkpoint("llama-tiny"), ENGINE, ENGINE, TimingMode.TOGETHER, paced=True
    ) as app:
        _note(result, "idle", _idle(app, IDLE_SECONDS * min(1, calm)), [])
        for turns in (sizes.history, sizes.long_history):
            _fill(app, turns - app.turns)
            _streams(result, app, turns, sizes)
            costs.append(_turn_cost(app, sizes.costed_turns))
            _size(result, app, turns)
    result.figures["CPU ms per turn"] = [cost * 1e3 for cost in costs]
    result.budgets.append(Budget("cost of a turn after the long chat / the short", costs[1] / costs[0], FLAT))
    return result


def _streams(result: Result, app: MeasuredApp, turns: int, sizes: BenchmarkSizes) -> None:
    for (rate, limit), seconds in zip(RATES, sizes.stream_seconds, strict=True):
        lags, rates = _stream(app, rate, seconds, sizes.answers)
        p95 = _note(result, f"{turns} turns, both sides at {rate} tok/s", lags, rates)
        result.budgets.append(Budget(f"lag p95 after {turns} turns at 2 × {rate} tok/s", p95, limit, " ms"))


def _turn_cost(app: MeasuredApp, turns: int) -> float:
    """Return the median CPU seconds of the app for one turn."""
    costs: list[float] = []
    for _ in range(turns):
        before = app.call("state")["cpu_seconds"]
        _fill(app, 1)
        costs.append(app.call("state")["cpu_seconds"] - before)
    return statistics.median(costs)


def _fill(app: MeasuredApp, turns: int) -> None:
    """Add `turns` turns at a high rate."""
    app.call("set", mode="together", max_tokens=HISTORY_TOKENS, seed=HISTORY_RATE)
    for turn in range(turns):
        app.ask(f"Question {turn + 1}: how is the cache filled?")


def _idle(app: MeasuredApp, seconds: float) -> list[float]:
    app.call("probe")
    time.sleep(seconds)
    lags: list[float] = app.call("lags")
    return lags


def _stream(app: MeasuredApp, rate: int, seconds: float, answers: int) -> tuple[list[float], list[float]]:
    """Return all lags of `answers` answers at one rate, and the measured decode rates of the sides."""
    lags: list[float] = []
    rates: list[float] = []
    for _ in range(answers):
        app.call("set", mode="together", max_tokens=round(rate * seconds), seed=rate)
        app.call("probe")
        sides = app.ask("And how is it emptied?")
        lags += app.call("lags")
        rates += [side["decode_rate"] for side in sides]
    return lags, rates


def _size(result: Result, app: MeasuredApp, turns: int) -> None:
    seen = app.call("state")
    megabytes = seen["resident"] / 1e6
    result.figures[f"after {turns} turns"] = {"widgets": seen["widgets"], "MB": megabytes}
    result.budgets.append(Budget(f"widgets on the chat screen after {turns} turns", seen["widgets"], WIDGETS))
    result.budgets.append(Budget(f"memory of the app after {turns} turns", megabytes, MEGABYTES, " MB"))


def _note(result: Result, what: str, lags: list[float], rates: list[float]) -> float:
    """Add a row and return the 95th percentile in milliseconds."""
    late = lag_figures(lags)
    p50, p95, p99, longest = late.values()
    kept = f"{min(rates):.0f}–{max(rates):.0f}" if rates else "–"
    result.rows.append((what, f"{p50:.1f}", f"{p95:.1f}", f"{p99:.1f}", f"{longest:.0f}", kept))
    result.figures[what] = {"samples": len(lags)} | late
    return p95


def lag_figures(lags: Sequence[float]) -> dict[str, float]:
    """Return percentiles of lags in seconds, and the longest, in milliseconds."""
    late = sorted(max(0.0, lag) * 1e3 for lag in lags)
    figures = {f"p{percent}": percentile(late, percent) for percent in (50, 95, 99)}
    return figures | {"longest": late[-1]}
