"""Decode speed and TTFT of every CPU engine compared with the reference."""

from __future__ import annotations

import asyncio
import contextlib
import statistics

from app.engine_lifecycle import EngineLifecycle
from tests.benchmarks.environment import BenchmarkEnvironment
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.sides import Answer, generate, opened
from tests.benchmarks.table import Budget, Result, number, ratios, spread

METHOD = """\
Real workers, one request at a time, greedy, end token ignored, batch 1. Every request has a new random prompt
of {prompt} tokens and generates {new}; each round runs every engine once, in rotating order, after one
warm-up round. Medians of {rounds} rounds; × is the median of the ratios to the reference within each round,
with the range."""
COLUMNS = ("engine", "decode tok/s", "× [range]", "TTFT ms", "TTFT × faster [range]")
LIMITS = {"openvino:int8": 3.5, "openvino:int4": 5.0}
Round = dict[str, Answer]


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure with the demo checkpoint and the shape that the budgets are for."""
    sizes = bench.sizes
    method = METHOD.format(prompt=sizes.prompt_tokens, new=sizes.new_tokens, rounds=sizes.rounds)
    result = Result("decode", method, COLUMNS)
    engines = [sizes.reference, *(f"openvino:{precision}" for precision in sizes.precisions)]
    for name in bench.checkpoints:
        measured = asyncio.run(measure(bench, name, engines))
        rounds = measured.best
        result.notes.append(f"{name}: {measured.summary()}")
        report(result, name, rounds, sizes.reference)
        if name == sizes.shape:
            _judge(result, rounds, sizes.reference)
    return result


async def measure(
    bench: BenchmarkEnvironment, checkpoint_name: str, engines: list[str]
) -> QuietRounds[Round]:
    """Ask each engine once in each round, in rotating order."""
    sizes = bench.sizes
    checkpoint = bench.checkpoints[checkpoint_name]
    rounds = QuietRounds[Round](sizes)
    async with contextlib.AsyncExitStack() as stack:
        sides: dict[str, EngineLifecycle] = {}
        for engine in engines:
            sides[engine] = await stack.enter_async_context(opened(bench, engine, checkpoint_name))
        for turn in rounds:
            answers: Round = {}
            first = turn % len(engines)
            for engine in engines[first:] + engines[:first]:
                prompt = bench.random_ids(checkpoint, sizes.prompt_tokens)
                answers[engine] = await generate(sides[engine], prompt, sizes.new_tokens)
            rounds.keep({engine: answers[engine] for engine in engines})
    return rounds


def report(result: Result, checkpoint: str, rounds: list[Round], reference: str) -> None:
    """Add a row for each engine, with its ratios to `reference`."""
    base = [answers[reference] for answers in rounds]
    for engine in rounds[0]:
        answers = [each[engine] for each in rounds]
        rates, firsts = [a.rate for a in answers], [a.ttft for a in answers]
        result.rows.append(
            (
                f"{checkpoint} {engine}",
                number(statistics.median(rates)),
                spread(ratios(rates, [a.rate for a in base]), "{:.2f}".format),
                number(statistics.median(firsts) * 1e3),
                spread(ratios([a.ttft for a in base], firsts), "{:.2f}".format),
            )
        )
        result.figures[f"{checkpoint} {engine}"] = {"decode tok/s": rates, "ttft s": firsts}


def _judge(result: Result, rounds: list[Round], reference: str) -> None:
    base = [answers[reference].rate for answers in rounds]
    for engine, limit in LIMITS.items():
        if engine in rounds[0] and engine != reference:
            ratio = statistics.median(ratios([answers[engine].rate for answers in rounds], base))
            result.budgets.append(Budget(f"decode {engine} / {reference}", ratio, limit, "×", at_least=True))
