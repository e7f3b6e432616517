"""Throughput with 1, 4 and 16 users of OpenVINO int8, compared with an observer and a bare client."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from app.cli.load import LoadOptions, measure
from engines.backends.openvino.pipeline import BLOCK_TOKENS, SPARE_BLOCKS
from engines.build.spec import EngineSpec
from engines.compare.engine import ComparedEngine, opened
from engines.worker.load_test import SPARE_TOKENS
from engines.worker.process import EngineProcess
from tests.benchmarks.environment import PROJECT, BenchmarkEnvironment
from tests.benchmarks.load_figures import load_figures
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.table import Budget, Result, number, ratios, spread
from tests.doubles.interpreter_script import interpreter_script

METHOD = """\
{requests} prompts a user, each sent as soon as the answer before is complete, and exactly
{tokens} tokens an answer. Ours: the worker's load test, figures of the time stamps that it sends. The
observer: in the same run, it stands between the worker and the library, stamps each arrival and each step
with a clock of its own, and computes its figures with the client's function. Our TTFT begins
before the token ids are checked, the observer's after that. The client: a script over openvino_genai alone,
with the same pipeline settings, in a run of its own. It has no budget: two runs of the same client differ
by more than 2 %. Both load the pipeline before each run. Alternately, {rounds} rounds after one warm-up;
medians of the rounds."""
USERS = (1, 4, 16)
REQUESTS = {1: 24, 4: 18, 16: 9}
"""Prompts a user, by users: each run takes some seconds, so a short disturbance is a small part of it."""
PROMPTS = ("What can I do with this app?", "Explain the KV cache in detail.", "Tell me a story about a fox.")
PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "u8"}
FIGURES = {
    "total tok/s": "total_rate",
    "TTFT p50 s": "ttft_p50",
    "TTFT p95 s": "ttft_p95",
    "TPOT p50 s": "tpot_p50",
}
"""The client's name of a figure, and our field."""
TOLERANCE = 0.02
Round = dict[tuple[int, str], tuple[float, float, float]]
"""Our figure, the observer's and the client's, by users and name."""


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure with the demo, or with a random checkpoint where there is none."""
    sizes = bench.sizes
    method = METHOD.format(requests=_listed(REQUESTS), tokens=sizes.new_tokens, rounds=sizes.rounds)
    columns = ("users, figure", "ours [range]", "ours / observer [range]", "client [range]")
    result = Result("load", method, (*columns, "ours / client [range]"))
    quiet = asyncio.run(_rounds(bench))
    result.notes.append(quiet.summary())
    rates = []
    for users, name in quiet.best[0]:
        ours, seen, client = ([one[users, name][side] for one in quiet.best] for side in range(3))
        same = ratios(ours, seen)
        row = (spread(ours), spread(same, _exact), spread(client), spread(ratios(ours, client)))
        result.rows.append((f"{users} {name}", *row))
        result.figures[f"{users} {name}"] = {"ours": ours, "observer": seen, "client": client}
        off = abs(statistics.median(same) - 1)
        result.budgets.append(Budget(f"{name}, users: {users}, difference from the observer", off, TOLERANCE))
        if name == "total tok/s":
            rates.append(statistics.median(ours))
    rises = all(fewer < more for fewer, more in pairwise(rates))
    result.notes.append(
        f"total tok/s {'rises' if rises else 'DOES NOT RISE'}: {', '.join(map(number, rates))}"
    )
    return result


def _exact(ratio: float) -> str:
    return f"{ratio:.4f}"


def _listed(requests: dict[int, int]) -> str:
    return ", ".join(
        f"{count} ({users} {'user' if users == 1 else 'users'})" for users, count in requests.items()
    )


async def _rounds(bench: BenchmarkEnvironment) -> QuietRounds[Round]:
    _, checkpoint = bench.smallest
    spec = EngineSpec(str(checkpoint), "openvino", "int8")
    rounds = QuietRounds[Round](bench.sizes)
    log, seen = bench.logs / "load.log", bench.folder / "seen.json"
    python = interpreter_script(bench.folder, "tests.benchmarks.observed_worker", str(seen))
    start = functools.partial(EngineProcess.start, python=python)
    async with opened(spec, bench.store, start, log, lambda _: None) as engine:
        prompts = [
            list((await engine.tokenize("", ({"role": "user", "content": one},))).token_ids)
            for one in PROMPTS
        ]
        with _client(engine.prepared.directory) as client:
            for _ in rounds:
                found: Round = {}
                for users in USERS:
                    found |= await _all(engine, client, users, prompts, bench.sizes.new_tokens, seen)
                rounds.keep(found)
    return rounds


async def _all(
    engine: ComparedEngine,
    client: subprocess.Popen[str],
    users: int,
    prompts: list[list[int]],
    tokens: int,
    file: Path,
) -> Round:
    options = LoadOptions((users,), REQUESTS[users], PROMPTS, tokens, ignore_eos=True)
    ours = await measure(engine, users, options)
    seen = _seen(file)
    cache = users * (max(map(len, prompts)) + tokens + SPARE_TOKENS)
    request = {
        "users": users,
        "requests": users * REQUESTS[users],
        "prompts": prompts,
        "max_tokens": tokens,
        "blocks": math.ceil(cache / BLOCK_TOKENS) + SPARE_BLOCKS,
        "properties": PROPERTIES,
    }
    theirs = await asyncio.to_thread(_ask, client, request)
    assert ours.tokens == seen["tokens"] == theirs["tokens"]
    return {
        (users, name): (getattr(ours, field), seen[name], theirs[name]) for name, field in FIGURES.items()
    }


def _seen(file: Path) -> dict[str, float]:
    """Return the observer's figures of the last load test."""
    _, *users = json.loads(file.read_text("utf-8"))  # the first one is the engine's: it measures its blocks
    return load_figures(users)


def _ask(client: subprocess.Popen[str], request: dict[str, object]) -> dict[str, float]:
    assert client.stdin
    assert client.stdout
    print(json.dumps(request), file=client.stdin, flush=True)
    found: dict[str, float] = json.loads(client.stdout.readline())
    return found


@contextlib.contextmanager
def _client(directory: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.benchmarks.load_client", directory]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, cwd=PROJECT
    ) as process:
        yield process
