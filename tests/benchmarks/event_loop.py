"""How long a key press has to wait while both sides stream, and what a long chat costs."""

from __future__ import annotations

import statistics
import time

from app.state.settings.settings import TimingMode
from engines.measure.timing import percentile
from tests.benchmarks.measured_app import MeasuredApp, running
from tests.benchmarks.table import Budget, Result
from tests.benchmarks.workshop import Numbers, Workshop
from tests.doubles.paced_worker import NAME

METHOD = """\
The app on a pseudo-terminal of 160×48 that is read as a terminal would, every panel on. Both sides stream
Markdown (paragraphs, lists, code, tables, about 4 characters a token) from worker processes that keep a
rate, together, after {history} turns and after {long_history}. A task in the app's event loop sleeps 5 ms
again and again; the lag is by how much it is late, from Enter until both answers are drawn whole. {answers}
answers of {calm:g} s at 100 tok/s each, and of {fast:g} s at 500 tok/s each. A turn's cost is the processor
time of the process that draws, for an answer of {tokens} tokens on both sides: the median of {turns}. The
panels that are drawn while the engines read a longer prompt are part of it."""
ENGINE = f"{NAME}:fp32"
RATES = ((100, 16.0), (500, 33.0))
"""Tok/s of each side, and the budget of the lag's 95th percentile in milliseconds."""
WIDGETS = 300
MEGABYTES = 120.0
FLAT = 1.25
"""How much dearer a turn may be after a long chat than after a short one."""
IDLE_SECONDS = 3.0
HISTORY_RATE, HISTORY_TOKENS = 3_000, 300


def run(workshop: Workshop) -> Result:
    """Idle, then streaming at two rates and the cost of a turn, after a short chat and after a long one."""
    numbers = workshop.numbers
    calm, fast = numbers.stream_seconds
    method = METHOD.format(
        history=numbers.history,
        long_history=numbers.long_history,
        answers=numbers.answers,
        calm=calm,
        fast=fast,
        tokens=HISTORY_TOKENS,
        turns=numbers.costed_turns,
    )
    columns = ("", "p50 ms", "p95 ms", "p99 ms", "longest ms", "tok/s each")
    result = Result("event_loop", method, columns)
    costs = []
    with running(
        workshop, workshop.made("llama-tiny"), ENGINE, ENGINE, TimingMode.TOGETHER, paced=True
    ) as app:
        _note(result, "idle", _idle(app, IDLE_SECONDS * min(1, calm)), [])
        for turns in (numbers.history, numbers.long_history):
            _fill(app, turns - app.turns)
            _streams(result, app, turns, numbers)
            costs.append(_turn_cost(app, numbers.costed_turns))
            _size(result, app, turns)
    result.figures["processor ms for a turn"] = [cost * 1e3 for cost in costs]
    result.budgets.append(Budget("cost of a turn after the long chat / the short", costs[1] / costs[0], FLAT))
    return result


def _streams(result: Result, app: MeasuredApp, turns: int, numbers: Numbers) -> None:
    for (rate, limit), seconds in zip(RATES, numbers.stream_seconds, strict=True):
        lags, rates = _stream(app, rate, seconds, numbers.answers)
        p95 = _note(result, f"{turns} turns, both sides at {rate} tok/s", lags, rates)
        result.budgets.append(Budget(f"lag p95 after {turns} turns at 2 × {rate} tok/s", p95, limit, " ms"))


def _turn_cost(app: MeasuredApp, turns: int) -> float:
    """Processor seconds of the app for one answer, median."""
    costs: list[float] = []
    for _ in range(turns):
        before = app.call("look")["processor"]
        _fill(app, 1)
        costs.append(app.call("look")["processor"] - before)
    return statistics.median(costs)


def _fill(app: MeasuredApp, turns: int) -> None:
    """Add so many turns, quickly."""
    app.call("set", mode="together", max_tokens=HISTORY_TOKENS, seed=HISTORY_RATE)
    for turn in range(turns):
        app.ask(f"Question {turn + 1}: how is the cache filled?")


def _idle(app: MeasuredApp, seconds: float) -> list[float]:
    app.call("probe")
    time.sleep(seconds)
    lags: list[float] = app.call("lags")
    return lags


def _stream(app: MeasuredApp, rate: int, seconds: float, answers: int) -> tuple[list[float], list[float]]:
    """All lags of some answers at one rate, and the rates that the sides kept."""
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
    seen = app.call("look")
    megabytes = seen["resident"] / 1e6
    result.figures[f"after {turns} turns"] = {"widgets": seen["widgets"], "MB": megabytes}
    result.budgets.append(Budget(f"widgets on the chat screen after {turns} turns", seen["widgets"], WIDGETS))
    result.budgets.append(Budget(f"memory of the app after {turns} turns", megabytes, MEGABYTES, " MB"))


def _note(result: Result, what: str, lags: list[float], rates: list[float]) -> float:
    """Add a row; returns the 95th percentile in milliseconds."""
    late = sorted(max(0.0, lag) * 1e3 for lag in lags)
    p50, p95, p99 = (percentile(late, percent) for percent in (50, 95, 99))
    kept = f"{min(rates):.0f}–{max(rates):.0f}" if rates else "–"
    result.rows.append((what, f"{p50:.1f}", f"{p95:.1f}", f"{p99:.1f}", f"{late[-1]:.0f}", kept))
    result.figures[what] = {"samples": len(late), "p50": p50, "p95": p95, "p99": p99, "longest": late[-1]}
    return p95
