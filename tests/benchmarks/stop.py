"""From the Esc key to the last token."""

from __future__ import annotations

import statistics

from tests.benchmarks.measured_app import ESCAPE, SWAP, MeasuredApp, running
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.table import Budget, Result, spread
from tests.benchmarks.workshop import Workshop

METHOD = """\
Esc is written to the app's pseudo-terminal in the middle of an answer; the time until the last token's
stamp, taken in the worker by the same monotonic clock. Part of it, about 100 ms, is the terminal's: a lone
Esc may begin a longer key sequence, and Textual waits that long (ESCDELAY). {rounds} rounds, the engines in
turn; medians."""
LIMIT_MS = 200.0
LONG_ANSWER, CONTEXT = 7_000, 8_192


def run(workshop: Workshop) -> Result:
    """Stop the engine on the left, swap, stop the other one."""
    numbers = workshop.numbers
    rounds = numbers.rounds
    result = Result("stop", METHOD.format(rounds=rounds), ("engine", "ms [range]"))
    quiet = QuietRounds[dict[str, float]](numbers)
    with running(workshop, workshop.shape, "openvino:int8", numbers.reference, context=CONTEXT) as app:
        app.call("set", mode="in turn", max_tokens=LONG_ANSWER)
        for _ in quiet:
            seen: dict[str, float] = {}
            for _ in range(2):
                engine, milliseconds = _stop_left(app, workshop.random_words(10))
                seen[engine] = milliseconds
                app.clear()
                app.terminal.press(SWAP)
            quiet.keep(seen)
    result.notes.append(quiet.summary())
    for engine in quiet.best[0]:
        values = [each[engine] for each in quiet.best]
        result.rows.append((f"{numbers.shape} {engine}", spread(values)))
        result.figures[engine] = values
        result.budgets.append(Budget(f"stop {engine}", statistics.median(values), LIMIT_MS, " ms"))
    return result


def _stop_left(app: MeasuredApp, prompt: str) -> tuple[str, float]:
    app.send(prompt)
    app.call("streaming", tokens=8)
    pressed = app.terminal.press(ESCAPE)
    left = app.answers()[0]
    # An answer that reached its end was stopped too late, so its last token says no less. A token may also
    # have been the last one before the key: then nothing came after it.
    return left["engine"], max(0.0, (left["last_ns"] - pressed) / 1e6)
