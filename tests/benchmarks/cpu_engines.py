"""Speed and KL divergence of every engine for CPUs in one run, and the speed of llama.cpp alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from app.engine_lifecycle import EngineLifecycle
from engines.compare.text import shipped_texts
from engines.worker import protocol
from engines.worker.process import EngineProcess
from engines.worker.request import request
from engines.worker.tokenizer import Tokenizer
from tests.benchmarks.decode import COLUMNS, METHOD, Round, report
from tests.benchmarks.environment import PROJECT, BenchmarkEnvironment, BenchmarkError
from tests.benchmarks.in_app import engine_directory
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.sides import Answer, generate, opened
from tests.benchmarks.table import Budget, Result, ratios

ENGINES = {
    "openvino": ("fp32", "int8", "int4"),
    "onnxruntime": ("fp32", "int8", "int4"),
    "llama-cpp": ("q8_0", "q4_0"),
}
BARE_OF = "llama-cpp:q8_0"
BARE = f"{BARE_OF} bare"
LIMIT = 0.97
SCORED = 128
MORE = f"""\
`{BARE}`: xllamacpp called directly with the same file and prompts. KLD: mean KL divergence of the whole
vocabulary from {{reference}}, over {SCORED} tokens of a text, random ones if there is no tokenizer."""


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure ENGINES with every checkpoint."""
    sizes = bench.sizes
    method = METHOD.format(prompt=sizes.prompt_tokens, new=sizes.new_tokens, rounds=sizes.rounds)
    result = Result(
        "cpu_engines",
        f"{method}\n{MORE.format(reference=sizes.reference)}",
        (*COLUMNS, "KLD"),
    )
    engines = [
        f"{backend}:{precision}"
        for backend, precisions in ENGINES.items()
        for precision in precisions
        if backend == "llama-cpp" or precision in sizes.precisions
    ]
    for name in bench.checkpoints:
        file = Path(engine_directory(bench, BARE_OF, name)) / "model.gguf"
        measured, divergences = asyncio.run(_measure(bench, name, [sizes.reference, *engines], file))
        result.notes.append(f"{name}: {measured.summary()}")
        _report(result, name, measured.best, divergences)
        own = [answers[BARE_OF].rate for answers in measured.best]
        ratio = statistics.median(ratios(own, [answers[BARE].rate for answers in measured.best]))
        result.budgets.append(Budget(f"{name} {BARE_OF} / bare", ratio, LIMIT, "×", at_least=True))
    return result


def _report(result: Result, checkpoint: str, rounds: list[Round], divergences: dict[str, float]) -> None:
    """Add a row for each engine; the first one is the reference."""
    first, (reference, *_) = len(result.rows), rounds[0]
    report(result, checkpoint, rounds, reference)
    for place, engine in enumerate(rounds[0], start=first):
        divergence = divergences.get(engine)
        result.rows[place] = (*result.rows[place], "" if divergence is None else f"{divergence:.4f}")
        if divergence is not None:
            result.figures[f"{checkpoint} {engine} KLD"] = divergence


async def _measure(
    bench: BenchmarkEnvironment, name: str, engines: list[str], file: Path
) -> tuple[QuietRounds[Round], dict[str, float]]:
    """Ask each engine once in each round, in rotating order, and the bare binding as one of them.

    Returns:
        The rounds, and the mean KL divergence of each engine but the first from the first.
    """
    sizes, checkpoint = bench.sizes, bench.checkpoints[name]
    rounds, everyone = QuietRounds[Round](sizes), [*engines, BARE]
    async with contextlib.AsyncExitStack() as stack:
        sides = {one: await stack.enter_async_context(opened(bench, one, name)) for one in engines}
        bare = stack.enter_context(_bare(bench, file))
        for turn in rounds:
            answers: Round = {}
            first = turn % len(everyone)
            for one in everyone[first:] + everyone[:first]:
                prompt = bench.random_ids(checkpoint, sizes.prompt_tokens)
                if one == BARE:
                    answers[one] = await asyncio.to_thread(_ask, bare, prompt, sizes.new_tokens)
                else:
                    answers[one] = await generate(sides[one], prompt, sizes.new_tokens)
            rounds.keep({one: answers[one] for one in everyone})
        return rounds, await _divergences(sides, _token_ids(bench, checkpoint), bench.folder / "rows.npy")


def _token_ids(bench: BenchmarkEnvironment, checkpoint: Path) -> tuple[int, ...]:
    if not (checkpoint / "tokenizer.json").is_file():
        return bench.random_ids(checkpoint, SCORED)
    return tuple(Tokenizer(checkpoint).plain_ids(shipped_texts()[0].text)[:SCORED])


async def _divergences(
    sides: dict[str, EngineLifecycle], token_ids: tuple[int, ...], rows: Path
) -> dict[str, float]:
    reference, *others = sides
    process = _process(sides[reference])
    await request(process, protocol.Score(process.next_id(), token_ids, keep=str(rows)), protocol.Scored)
    found = {}
    for one in others:
        process = _process(sides[one])
        command = protocol.Score(process.next_id(), token_ids, reference=str(rows))
        found[one] = statistics.fmean((await request(process, command, protocol.Scored)).kl)
    return found


def _process(side: EngineLifecycle) -> EngineProcess:
    assert isinstance(side.process, EngineProcess)
    return side.process


@contextlib.contextmanager
def _bare(bench: BenchmarkEnvironment, file: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the bare binding in a process of its own; it ends with the context."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.bare_llama_cpp", str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=PROJECT,
        env=bench.environment,
    ) as process:
        yield process


def _ask(process: subprocess.Popen[str], prompt: tuple[int, ...], new_tokens: int) -> Answer:
    """Return one answer of the bare binding.

    Raises:
        BenchmarkError: its process ended.
    """
    from engines.measure.timing import timing

    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps({"prompt": prompt, "new_tokens": new_tokens}) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise BenchmarkError("The bare binding ended.")
    reply = json.loads(line)
    return Answer((), timing(reply["started"], reply["stamps"], len(prompt)), 0)
