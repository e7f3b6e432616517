"""Speed of a server's answers in the app and in a bare HTTP client, and the event loop's lag meanwhile."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from app.state.settings.settings import TimingMode
from engines.build.server import REMOTE
from engines.measure.timing import timing
from tests.benchmarks import event_loop
from tests.benchmarks.environment import PROJECT, BenchmarkEnvironment
from tests.benchmarks.measured_app import MeasuredApp, running
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.table import Budget, Result, number, ratios, spread

METHOD = """\
Two servers of the standard library's asyncio, each in a process of its own, stream chunks as llama.cpp and
vLLM do, one token of Markdown (about 4 characters) a chunk, {tokens} tokens an answer. In the app on a
pseudo-terminal of 160×48 whose output is read, every panel on, the left side asks one and the right side the
other, in turn; in a separate process httpx2 alone reads the same lines, parses the same JSON and keeps the
text. The rate is that of the decode, by the time stamps of the client. App and bare client run alternately,
and the first one changes every round; medians of {rounds} rounds for each rate of the servers. A task in the
app's event loop sleeps 5 ms in a loop; the lag is how late it wakes up, from Enter until both answers are
drawn completely."""
KINDS = {"llama": "llama.cpp", "vllm": "vLLM"}
RATE, LIMIT = 1_000, 0.97
FASTEST = 0
"""The rate of a server that does not wait."""
QUESTION = "How is the cache filled?"
FIELDS: dict[str, dict[str, object]] = {
    "llama": {"timings_per_token": True},
    "vllm": {
        "return_token_ids": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    },
}
"""What the endpoint asks of a kind, so that it sends the same chunks to the bare client."""
Round = dict[str, tuple[float, float]]
"""Decode tok/s in the app and of the bare client, by kind."""


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure at RATE, then as fast as the servers can."""
    sizes = bench.sizes
    tokens = round(RATE * sizes.stream_seconds[0])
    columns = ("server, its rate", "in the app tok/s", "bare httpx2 tok/s", "app / bare [range]")
    method = METHOD.format(tokens=f"{tokens:,}", rounds=sizes.session_rounds)
    result = Result("client", method, columns)
    with contextlib.ExitStack() as stack:
        servers = {kind: stack.enter_context(_server(kind)) for kind in KINDS}
        bare = stack.enter_context(_process("tests.benchmarks.bare_client"))
        left, right = (f"{REMOTE}:{servers[kind]}" for kind in KINDS)
        checkpoint = bench.random_checkpoint("llama-tiny")
        app = stack.enter_context(running(bench, checkpoint, left, right, TimingMode.IN_TURN))
        for rate in (RATE, FASTEST):
            _measure(result, bench, app, bare, servers, rate, tokens)
    return result


def _measure(
    result: Result,
    bench: BenchmarkEnvironment,
    app: MeasuredApp,
    bare: subprocess.Popen[str],
    servers: dict[str, str],
    rate: int,
    tokens: int,
) -> None:
    lags, drawn = list[float](), list[float]()
    rounds = QuietRounds[Round](bench.sizes, bench.sizes.session_rounds)
    app.call("set", mode="in turn", max_tokens=tokens, seed=rate)

    def ask_app() -> list[float]:
        app.call("probe")
        sides = app.ask(QUESTION)
        drawn.append((time.monotonic_ns() - sides[-1]["last_ns"]) / 1e6)
        lags.extend(app.call("lags"))
        assert all(side["tokens"] == tokens for side in sides), sides
        app.clear()
        return [side["decode_rate"] for side in sides]

    def ask_bare() -> list[float]:
        return [_bare_rate(bare, kind, url, rate, tokens) for kind, url in servers.items()]

    for turn in rounds:
        if turn % 2:
            outside, inside = ask_bare(), ask_app()
        else:
            inside, outside = ask_app(), ask_bare()
        rounds.keep(dict(zip(servers, zip(inside, outside, strict=True), strict=True)))
    words = f"{rate:,} tok/s" if rate else "as fast as it can"
    _report(result, words, rounds, limited=bool(rate))
    _report_lags(result, words, lags, drawn, limited=bool(rate))


def _report(result: Result, words: str, rounds: QuietRounds[Round], *, limited: bool) -> None:
    for kind, title in KINDS.items():
        inside, outside = ([one[kind][place] for one in rounds.best] for place in (0, 1))
        quotients = ratios(inside, outside)
        rates = number(statistics.median(inside)), number(statistics.median(outside))
        result.rows.append((f"{title}, {words}", *rates, spread(quotients, "{:.3f}".format)))
        result.figures[f"{title}, {words}"] = {"app tok/s": inside, "bare tok/s": outside}
        if limited:
            ratio = statistics.median(quotients)
            result.budgets.append(Budget(f"app / bare, {title} at {words}", ratio, LIMIT, at_least=True))
    result.notes.append(f"{words}: {rounds.summary()}")


def _report_lags(result: Result, words: str, lags: list[float], drawn: list[float], *, limited: bool) -> None:
    late = event_loop.lag_figures(lags)
    result.figures[f"lag ms, {words}"] = late
    result.figures[f"drawn ms after the last token, {words}"] = drawn
    named = ", ".join(f"{name} {value:.1f} ms" for name, value in late.items())
    result.notes.append(
        f"{words}: lag {named}; drawn {statistics.median(drawn):.0f} ms after the last token (median)"
    )
    if limited:
        _, most = event_loop.RATES[-1]
        result.budgets.append(Budget(f"lag p95 at {words}", late["p95"], most, " ms"))


def _bare_rate(bare: subprocess.Popen[str], kind: str, url: str, rate: int, tokens: int) -> float:
    """Return the decode tok/s of one answer that the bare client reads."""
    body: dict[str, object] = {
        "model": "tiny",
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "max_tokens": tokens,
        "seed": rate,
    }
    request = {"url": f"{url}/chat/completions", "body": body | FIELDS[kind]}
    assert bare.stdin
    assert bare.stdout
    print(json.dumps(request), file=bare.stdin, flush=True)
    reply: dict[str, Any] = json.loads(bare.stdout.readline())
    assert len(reply["stamps"]) == tokens
    found = timing(reply["started"], reply["stamps"]).decode_rate
    assert found is not None
    return found


@contextlib.contextmanager
def _server(kind: str) -> Iterator[str]:
    with _process("tests.benchmarks.chunk_server", kind) as process:
        assert process.stdout
        yield process.stdout.readline().strip()


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=pipe, stdout=pipe, text=True, cwd=PROJECT
    ) as process:
        try:
            yield process
        finally:
            process.kill()
