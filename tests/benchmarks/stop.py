"""Time from the Esc key to the last token."""

from __future__ import annotations

import statistics

from tests.benchmarks.environment import BenchmarkEnvironment
from tests.benchmarks.measured_app import ESCAPE, SWAP, MeasuredApp, running
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.table import Budget, Result, spread

METHOD = """\
Esc is written to the app's pseudo-terminal in the middle of an answer; the time until the stamp of the last
token, taken in the worker with the same monotonic clock. About 100 ms of it is the wait for an escape
sequence: Textual waits that long (ESCDELAY) after a lone Esc. {rounds} rounds, the engines alternately;
medians."""
LIMIT_MS = 200.0
LONG_ANSWER, CONTEXT = 7_000, 8_192


def run(bench: BenchmarkEnvironment) -> Result:
    """Stop the left engine, swap the sides and stop the other one."""
    sizes = bench.sizes
    rounds = sizes.rounds
    result = Result("stop", METHOD.format(rounds=rounds), ("engine", "ms [range]"))
    quiet = QuietRounds[dict[str, float]](sizes)
    with running(bench, bench.shape, "openvino:int8", sizes.reference, context=CONTEXT) as app:
        app.call("set", mode="in turn", max_tokens=LONG_ANSWER)
        for _ in quiet:
            seen: dict[str, float] = {}
            for _ in range(2):
                engine, milliseconds = _stop_left(app, bench.random_words(10))
                seen[engine] = milliseconds
                app.clear()
                app.terminal.press(SWAP)
            quiet.keep(seen)
    result.notes.append(quiet.summary())
    for engine in quiet.best[0]:
        values = [each[engine] for each in quiet.best]
        result.rows.append((f"{sizes.shape} {engine}", spread(values)))
        result.figures[engine] = values
        result.budgets.append(Budget(f"stop {engine}", statistics.median(values), LIMIT_MS, " ms"))
    return result


def _stop_left(app: MeasuredApp, prompt: str) -> tuple[str, float]:
    app.send(prompt)
    app.call("streaming", tokens=8)
    pressed = app.terminal.press(ESCAPE)
    left = app.answers()[0]
    # If the answer reached its end before it was stopped, its last token still bounds the time. If no token
    # came after the key press, the difference is negative and counts as 0.
    return left["engine"], max(0.0, (left["last_ns"] - pressed) / 1e6)
