"""Speed of a server's answers in the app and in a bare HTTP client, and the event loop's lag meanwhile."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
Two servers of the standard library's asyncio, in separate processes, stream chunks as llama.cpp and
vLLM do, one token of Markdown (about 4 characters) a chunk, {tokens} tokens an answer. In the app on a
pseudo-terminal of 160×48 whose output is read, every panel on, the left side asks one and the right side the
other, in turn; in a separate process httpx2 alone reads the same lines, parses the same JSON and keeps the
text. The rate is that of the decode, by the time stamps of the client. App and bare client run alternately,
and the first one changes every round; medians of {rounds} rounds for each rate of the servers. A task in the
app's event loop sleeps 5 ms in a loop; the lag is how late it wakes up, from Enter until both answers are
drawn completely. For comparison: with two local workers that generate the same text at the same rate."""
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


@dataclass(frozen=True)
class Round:
    """One answer of each server, in the app and of the bare client."""

    inside: list[float]
    """Decode tok/s in the app, in the order of KINDS."""
    outside: list[float]
    """Of the bare client."""
    lags: list[float]
    """Of the event loop, in seconds."""
    drawn: float
    """Milliseconds from the last token until it is drawn."""


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure at RATE, then as fast as the servers can."""
    sizes = bench.sizes
    tokens = round(RATE * sizes.stream_seconds[0])
    columns = ("server, its rate", "in the app tok/s", "bare httpx2 tok/s", "app / bare [range]")
    method = METHOD.format(tokens=f"{tokens:,}", rounds=sizes.session_rounds)
    result = Result("client", method, columns)
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(_server(kind)) for kind in KINDS]
        bare = stack.enter_context(_process("tests.benchmarks.bare_client"))
        checkpoint = bench.random_checkpoint("llama-tiny")
        left, right = (f"{REMOTE}:{url}" for url in urls)
        app = stack.enter_context(running(bench, checkpoint, left, right))
        for rate in (RATE, FASTEST):
            words = f"{rate:,} tok/s" if rate else "as fast as it can"
            rounds = _rounds(bench, app, bare, urls, rate, tokens)
            result.notes.append(f"{words}: {rounds.summary()}")
            _report(result, words, rounds.best, limited=bool(rate))
    with running(bench, checkpoint, event_loop.ENGINE, event_loop.ENGINE, paced=True) as app:
        _set_length(app, RATE, tokens)
        lags = [lag for _ in range(sizes.session_rounds) for lag in _ask(app, tokens)[1]]
    _note_lags(result, f"local engines at {RATE:,} tok/s", lags)
    return result


def _rounds(
    bench: BenchmarkEnvironment,
    app: MeasuredApp,
    bare: subprocess.Popen[str],
    urls: list[str],
    rate: int,
    tokens: int,
) -> QuietRounds[Round]:
    def ask_bare() -> list[float]:
        return [_bare_rate(bare, kind, url, rate, tokens) for kind, url in zip(KINDS, urls, strict=True)]

    rounds = QuietRounds[Round](bench.sizes, bench.sizes.session_rounds)
    _set_length(app, rate, tokens)
    for turn in rounds:
        outside = ask_bare() if turn % 2 else []
        inside, lags, drawn = _ask(app, tokens)
        rounds.keep(Round(inside, outside or ask_bare(), lags, drawn))
    return rounds


def _set_length(app: MeasuredApp, rate: int, tokens: int) -> None:
    app.call("set", mode=TimingMode.IN_TURN, max_tokens=tokens, seed=rate)


def _ask(app: MeasuredApp, tokens: int) -> tuple[list[float], list[float], float]:
    """Return decode tok/s of both sides, the event loop's lags, and the milliseconds to the last drawing."""
    app.call("probe")
    sides = app.ask(QUESTION)
    drawn = (time.monotonic_ns() - sides[-1]["last_ns"]) / 1e6
    lags: list[float] = app.call("lags")
    assert all(side["tokens"] == tokens for side in sides)
    app.clear()
    return [side["decode_rate"] for side in sides], lags, drawn


def _report(result: Result, words: str, rounds: list[Round], *, limited: bool) -> None:
    for place, title in enumerate(KINDS.values()):
        inside, outside = [one.inside[place] for one in rounds], [one.outside[place] for one in rounds]
        quotients = ratios(inside, outside)
        rates = number(statistics.median(inside)), number(statistics.median(outside))
        result.rows.append((f"{title}, {words}", *rates, spread(quotients, "{:.3f}".format)))
        result.figures[f"{title}, {words}"] = {"app tok/s": inside, "bare tok/s": outside}
        if limited:
            ratio = statistics.median(quotients)
            result.budgets.append(Budget(f"app / bare, {title} at {words}", ratio, LIMIT, at_least=True))
    p95 = _note_lags(result, f"servers, {words}", [lag for one in rounds for lag in one.lags])
    drawn = [one.drawn for one in rounds]
    result.notes.append(f"servers, {words}: drawn {spread(drawn)} ms after the last token")
    if limited:
        _, most = event_loop.RATES[-1]
        result.budgets.append(Budget(f"lag p95, {words}", p95, most, " ms"))


def _note_lags(result: Result, words: str, lags: list[float]) -> float:
    """Note the percentiles, and return the 95th in milliseconds."""
    late = event_loop.lag_figures(lags)
    result.figures[f"lag ms, {words}"] = late
    named = ", ".join(f"{name} {value:.1f}" for name, value in late.items())
    result.notes.append(f"lag ms, {words}: {named}")
    return late["p95"]


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
