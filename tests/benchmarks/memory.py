"""Memory of the app's process, and processes left after it has quit."""

from __future__ import annotations

from tests.benchmarks.environment import BenchmarkEnvironment
from tests.benchmarks.measured_app import running
from tests.benchmarks.table import Budget, Result, number

METHOD = """\
Resident memory (RSS) of the app process without engines: with both engines ready, and after a chat of
{history} turns of {tokens} tokens on each side with every panel on. Then Ctrl+Q: the benchmark fails if a
process of the app or its engines is still running."""
LIMIT_MB = 120.0
ANSWER_TOKENS = 64
"""Ten turns must fit into the demo's context window."""


def run(bench: BenchmarkEnvironment) -> Result:
    """Start the app, chat, and measure its memory."""
    history, name = bench.sizes.history, bench.smallest[0]
    tokens = min(ANSWER_TOKENS, 10 * bench.sizes.new_tokens)
    result = Result("memory", METHOD.format(history=history, tokens=tokens), ("", "MB"))
    with running(bench, bench.checkpoints[name], "openvino:int8", bench.sizes.reference) as app:
        app.call("set", mode="in turn", max_tokens=tokens)
        seen = {"both engines ready": app.call("state")["resident"] / 1e6}
        for _ in range(history):
            app.ask(bench.random_words(8))
        seen[f"after {history} turns"] = app.call("state")["resident"] / 1e6
    for what, megabytes in seen.items():
        result.rows.append((what, number(megabytes)))
        result.budgets.append(Budget(f"memory, {what}", megabytes, LIMIT_MB, " MB"))
    result.rows.append(("processes left at the end", "0"))
    result.figures.update(seen)
    return result
