"""TTFT of the tenth turn of a conversation compared with the first (prefix caching)."""

from __future__ import annotations

import asyncio
import statistics

from tests.benchmarks.environment import BenchmarkEnvironment
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.sides import Answer, generate, opened
from tests.benchmarks.table import Budget, Result, number, spread

METHOD = """\
Conversations of ten turns in the worker, as token ids: each prompt is the conversation so far and {new} new
random tokens, each answer has {answer} tokens. The ratio is the TTFT of the last turn / the first of the same
conversation; median of {conversations} conversations after one warm-up, each with new tokens."""
LIMIT = 1.5
TURNS = 10
ANSWER_TOKENS = 32
ENGINES = ("openvino:int8", "openvino:fp32")


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure with the demo checkpoint and the shape that the budgets are for."""
    sizes = bench.sizes
    new = sizes.prompt_tokens // 2
    method = METHOD.format(new=new, answer=ANSWER_TOKENS, conversations=sizes.conversations)
    columns = (
        "checkpoint, engine",
        "turn 1 TTFT ms",
        f"turn {TURNS} TTFT ms",
        "prompt tokens, cached",
        f"turn {TURNS} / turn 1 [range]",
    )
    result = Result("prefix", method, columns)
    for name in bench.checkpoints:
        for engine in ENGINES:
            if engine.partition(":")[2] in sizes.precisions:
                conversations = asyncio.run(_conversations(bench, name, engine, new))
                _report(result, f"{name} {engine}", conversations.best, new)
                result.notes.append(f"{name} {engine}: {conversations.summary()}")
    return result


async def _conversations(
    bench: BenchmarkEnvironment, name: str, engine: str, new: int
) -> QuietRounds[list[Answer]]:
    conversations = QuietRounds[list[Answer]](bench.sizes, bench.sizes.conversations)
    async with opened(bench, engine, name) as loaded:
        for _ in conversations:
            tokens: tuple[int, ...] = ()
            answers = []
            for _ in range(TURNS):
                tokens += bench.random_ids(bench.checkpoints[name], new)
                answers.append(await generate(loaded, tokens, ANSWER_TOKENS))
                tokens += answers[-1].token_ids
            conversations.keep(answers)
    return conversations


def _report(result: Result, what: str, conversations: list[list[Answer]], new: int) -> None:
    first = [answers[0].ttft * 1e3 for answers in conversations]
    last = [answers[-1].ttft * 1e3 for answers in conversations]
    quotients = [b / a for a, b in zip(first, last, strict=True)]
    prompt = TURNS * new + (TURNS - 1) * ANSWER_TOKENS
    result.rows.append(
        (
            what,
            number(statistics.median(first)),
            number(statistics.median(last)),
            f"{prompt}, {conversations[-1][-1].cached}",
            spread(quotients, "{:.2f}".format),
        )
    )
    result.figures[what] = {"first ms": first, "last ms": last}
    result.budgets.append(Budget(f"TTFT turn {TURNS} / turn 1, {what}", statistics.median(quotients), LIMIT))
