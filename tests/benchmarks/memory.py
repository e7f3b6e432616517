"""Memory of the app's own process, and what is left when it has gone."""

from __future__ import annotations

from tests.benchmarks.measured_app import running
from tests.benchmarks.table import Budget, Result, number
from tests.benchmarks.workshop import Workshop

METHOD = """\
Resident memory (RSS) of the process that draws, engines not included: with both engines ready, and after a
chat of {history} turns of {tokens} tokens on each side with every panel on. Then Ctrl+Q: no process may be
left of the app, its engines or their children, or this benchmark fails."""
LIMIT_MB = 120.0
ANSWER_TOKENS = 64
"""Ten turns of it must fit into the demo's context."""


def run(workshop: Workshop) -> Result:
    """Start, chat, look."""
    history, name = workshop.numbers.history, workshop.smallest[0]
    tokens = min(ANSWER_TOKENS, 10 * workshop.numbers.new_tokens)
    result = Result("memory", METHOD.format(history=history, tokens=tokens), ("", "MB"))
    with running(workshop, workshop.checkpoints[name], "openvino:int8", workshop.numbers.reference) as app:
        app.call("set", mode="in turn", max_tokens=tokens)
        seen = {"both engines ready": app.call("look")["resident"] / 1e6}
        for _ in range(history):
            app.ask(workshop.random_words(8))
        seen[f"after {history} turns"] = app.call("look")["resident"] / 1e6
    for what, megabytes in seen.items():
        result.rows.append((what, number(megabytes)))
        result.budgets.append(Budget(f"memory, {what}", megabytes, LIMIT_MB, " MB"))
    result.rows.append(("processes left at the end", "0"))
    result.figures.update(seen)
    return result
