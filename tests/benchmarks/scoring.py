"""What scoring a text costs compared with its prefill."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.engine_lifecycle import EngineLifecycle
from app.state.side.side import Side
from engines.worker import protocol
from engines.worker.process import EngineProcess
from engines.worker.request import request
from tests.benchmarks.environment import BenchmarkEnvironment, BenchmarkError
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.sides import generate
from tests.benchmarks.table import Budget, Result, spread

METHOD = """\
Prefill: the TTFT of one new token after {tokens} random tokens. Scoring: the same number of random tokens
scored with the {top} most likely tokens of each position and with every log-probability written to disk, as a
reference is, until the reply has arrived. Both in the worker, alternately, other tokens each time; {rounds}
rounds after one warm-up. The ratio is of the two in one round."""
LIMIT = 1.5
TOP = 10
ENGINES = ("pytorch:fp32", "openvino:int8")


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure with the shape that the budgets are for."""
    sizes = bench.sizes
    columns = ("engine", "prefill s [range]", "scoring s [range]", "scoring / prefill [range]")
    method = METHOD.format(tokens=sizes.scored_tokens, top=TOP, rounds=sizes.score_rounds)
    result = Result("scoring", method, columns)
    for engine in ENGINES:
        rounds = asyncio.run(_rounds(bench, engine))
        prefill, scoring = ([pair[number] for pair in rounds.best] for number in (0, 1))
        ratios = [b / a for a, b in zip(prefill, scoring, strict=True)]
        seconds = (spread(values, "{:.2f}".format) for values in (prefill, scoring, ratios))
        result.rows.append((f"{sizes.shape} {engine}", *seconds))
        result.figures[engine] = {"prefill s": prefill, "scoring s": scoring}
        result.notes.append(f"{engine}: {rounds.summary()}")
        result.budgets.append(Budget(f"scoring / prefill, {engine}", statistics.median(ratios), LIMIT, "×"))
    return result


async def _rounds(bench: BenchmarkEnvironment, engine: str) -> QuietRounds[tuple[float, float]]:
    tokens = bench.sizes.scored_tokens
    rounds = QuietRounds[tuple[float, float]](bench.sizes, bench.sizes.score_rounds)
    side = Side(engine.replace(":", "-"))
    lifecycle = EngineLifecycle(side, bench.store, bench.logs, bench.start_worker)
    try:
        await lifecycle.open(replace(bench.spec(engine, bench.shape), context=tokens + 64))
        if error := lifecycle.side.error:
            raise BenchmarkError(f"{engine}: {error.message} {error.hint}")
        for _ in rounds:
            answer = await generate(lifecycle, bench.random_ids(bench.shape, tokens), 1)
            ids = bench.random_ids(bench.shape, tokens)
            rounds.keep((answer.ttft, await _score(lifecycle, ids, bench.folder / "rows.npy")))
    finally:
        await lifecycle.close()
    return rounds


async def _score(lifecycle: EngineLifecycle, token_ids: Sequence[int], keep: Path) -> float:
    process = lifecycle.process
    assert isinstance(process, EngineProcess)
    started = time.monotonic()
    command = protocol.Score(process.next_id(), tuple(token_ids), TOP, keep=str(keep))
    await request(process, command, protocol.Scored)
    return time.monotonic() - started
