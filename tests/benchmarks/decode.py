"""Decode speed and time to first token of every CPU engine against the reference."""

from __future__ import annotations

import asyncio
import contextlib
import statistics

from app.engine_lifecycle import EngineLifecycle
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.sides import Answer, generate, opened
from tests.benchmarks.table import Budget, Result, number, ratios, spread
from tests.benchmarks.workshop import Workshop

METHOD = """\
Real workers, one request at a time, greedy, end-of-answer ignored, batch 1. Every request is another random
prompt of {prompt} tokens and is answered with {new}; each round asks every engine once, in an order that
moves on by one, after one round of warm-up. Medians of {rounds} rounds; × is the median of the rounds' own
ratios to the reference, with their range."""
COLUMNS = ("engine", "decode tok/s", "× [range]", "TTFT ms", "× sooner [range]")
LIMITS = {"openvino:int8": 3.5, "openvino:int4": 5.0}
Round = dict[str, Answer]


def run(workshop: Workshop) -> Result:
    """Measure on the demo and on the shape of the budgets."""
    numbers = workshop.numbers
    method = METHOD.format(prompt=numbers.prompt_tokens, new=numbers.new_tokens, rounds=numbers.rounds)
    result = Result("decode", method, COLUMNS)
    for name in workshop.checkpoints:
        measured = asyncio.run(_measure(workshop, name))
        rounds = measured.best
        result.notes.append(f"{name}: {measured.summary()}")
        _report(result, name, rounds, numbers.reference)
        if name == numbers.shape:
            _judge(result, rounds, numbers.reference)
    return result


async def _measure(workshop: Workshop, checkpoint_name: str) -> QuietRounds[Round]:
    numbers = workshop.numbers
    engines = [numbers.reference, *(f"openvino:{precision}" for precision in numbers.precisions)]
    checkpoint = workshop.checkpoints[checkpoint_name]
    rounds = QuietRounds[Round](numbers)
    async with contextlib.AsyncExitStack() as stack:
        sides: dict[str, EngineLifecycle] = {}
        for engine in engines:
            sides[engine] = await stack.enter_async_context(opened(workshop, engine, checkpoint_name))
        for turn in rounds:
            answers: Round = {}
            first = turn % len(engines)
            for engine in engines[first:] + engines[:first]:
                prompt = workshop.random_ids(checkpoint, numbers.prompt_tokens)
                answers[engine] = await generate(sides[engine], prompt, numbers.new_tokens)
            rounds.keep({engine: answers[engine] for engine in engines})
    return rounds


def _report(result: Result, checkpoint: str, rounds: list[Round], reference: str) -> None:
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
