"""How long a key press has to wait while both sides stream, and how many widgets a long chat has."""

from __future__ import annotations

import time

from app.state.settings import TimingMode
from engines.measure.timing import percentile
from tests.benchmarks.measured_app import MeasuredApp, running
from tests.benchmarks.table import Budget, Result
from tests.benchmarks.workshop import Workshop
from tests.doubles.paced_worker import NAME

METHOD = """\
The app on a pseudo-terminal of 160×48 that is read as a terminal would, every panel on. Both sides stream
Markdown (paragraphs, lists, code, tables, about 4 characters a token) from worker processes that keep a
rate, together, after {history} turns and more. A task in the app's event loop sleeps 5 ms again and again;
the lag is by how much it is late, from Enter until both answers are drawn whole. {answers} answers of
{calm:g} s at 100 tok/s each, and of {fast:g} s at 500 tok/s each."""
ENGINE = f"{NAME}:fp32"
RATES = ((100, 16.0), (500, 33.0))
"""Tok/s of each side, and the budget of the lag's 95th percentile in milliseconds."""
WIDGETS = 300
IDLE_SECONDS = 3.0
HISTORY_RATE, HISTORY_TOKENS, SHORT_TOKENS = 3_000, 300, 30


def run(workshop: Workshop) -> Result:
    """Idle, streaming at two rates, then a long conversation."""
    numbers = workshop.numbers
    calm, fast = numbers.stream_seconds
    method = METHOD.format(history=numbers.history, answers=numbers.answers, calm=calm, fast=fast)
    columns = ("", "p50 ms", "p95 ms", "p99 ms", "longest ms", "tok/s each")
    result = Result("event_loop", method, columns)
    checkpoint = workshop.made("llama-tiny")
    with running(workshop, checkpoint, ENGINE, ENGINE, TimingMode.TOGETHER, paced=True) as app:
        _fill(app, numbers.history)
        _note(result, "idle", _idle(app, IDLE_SECONDS * min(1, calm)), [])
        for (rate, limit), seconds in zip(RATES, numbers.stream_seconds, strict=True):
            lags, rates = _stream(app, rate, seconds, numbers.answers)
            p95 = _note(result, f"both sides at {rate} tok/s", lags, rates)
            result.budgets.append(Budget(f"lag p95 at 2 × {rate} tok/s", p95, limit, " ms"))
        _widgets(result, app, numbers.history, numbers.long_history)
    return result


def _fill(app: MeasuredApp, turns: int, tokens: int = HISTORY_TOKENS) -> None:
    """Add so many turns, quickly."""
    app.call("set", mode="together", max_tokens=tokens, seed=HISTORY_RATE)
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


def _widgets(result: Result, app: MeasuredApp, short: int, long: int) -> None:
    app.clear()
    for turns, more in ((short, short), (long, long - short)):
        # The last answer is the one that has a widget for each of its paragraphs.
        _fill(app, more - 1, SHORT_TOKENS)
        _fill(app, 1)
        widgets = app.call("look")["widgets"]
        result.figures[f"widgets after {turns} turns"] = widgets
        result.budgets.append(Budget(f"widgets on the chat screen after {turns} turns", widgets, WIDGETS))


def _note(result: Result, what: str, lags: list[float], rates: list[float]) -> float:
    """Add a row; returns the 95th percentile in milliseconds."""
    late = sorted(max(0.0, lag) * 1e3 for lag in lags)
    p50, p95, p99 = (percentile(late, percent) for percent in (50, 95, 99))
    kept = f"{min(rates):.0f}–{max(rates):.0f}" if rates else "–"
    result.rows.append((what, f"{p50:.1f}", f"{p95:.1f}", f"{p99:.1f}", f"{late[-1]:.0f}", kept))
    result.figures[what] = {"samples": len(late), "p50": p50, "p95": p95, "p99": p99, "longest": late[-1]}
    return p95
