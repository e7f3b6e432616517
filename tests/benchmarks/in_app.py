"""Decode speed in the app compared with the same engine in a bare script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from tests.benchmarks.environment import PROJECT, BenchmarkEnvironment, BenchmarkError
from tests.benchmarks.measured_app import MeasuredApp, running
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.sides import opened
from tests.benchmarks.table import Budget, Result, number, ratios, spread

METHOD = """\
The app on a pseudo-terminal of 160×48 whose output is read, both engines loaded, every panel on, timing in
turn; in a separate process the backend class, called directly. The same engine files, the same prompts (new
words in each round, the conversation cleared before), the same {new} tokens. App and script run alternately,
and the first one changes every round. Memory placement changes the speed of a process for its lifetime, so
both are started {sessions} times, and the one that starts first changes too. Medians of {sessions} × {rounds}
rounds."""
ENGINE, LIMIT = "openvino:int8", 0.97
NEW_TOKENS_FACTOR = 4
"""Longer answers than in `decode`, because the difference is a few per cent."""
PROMPT_WORDS = 60


class BareEngine:
    """The bare script and its pipes."""

    def __init__(self, process: subprocess.Popen[str], log: IO[bytes]) -> None:
        self._process, self._log = process, log
        self._read()

    def ask(self, text: str, max_tokens: int) -> dict[str, Any]:
        """Send a prompt and return the metrics of the answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"text": text, "max_tokens": max_tokens}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise BenchmarkError(
                f"The bare script ended:\n{self._log.read()[-2000:].decode(errors='replace')}"
            )
        reply: dict[str, Any] = json.loads(line)
        return reply


@contextlib.contextmanager
def bare_engine(
    bench: BenchmarkEnvironment, engine: str, checkpoint: Path, directory: str
) -> Iterator[BareEngine]:
    """Start the bare script; it ends with the context."""
    spec = json.dumps(bench.spec(engine, checkpoint).to_json())
    with TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bare", spec, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=PROJECT,
            env=bench.environment,
        )
        with process:
            yield BareEngine(process, log)


def engine_directory(bench: BenchmarkEnvironment, engine: str, checkpoint_name: str) -> str:
    """Return the folder of an engine's files; build it first if it does not exist."""

    async def prepared() -> None:
        async with opened(bench, engine, checkpoint_name):
            pass

    asyncio.run(prepared())
    wanted = bench.spec(engine, bench.checkpoints[checkpoint_name])
    kind = (wanted.backend, wanted.precision, wanted.checkpoint)
    built = ((one, one.spec) for one in bench.store.engines())
    return str(
        next(one.directory for one, spec in built if (spec.backend, spec.precision, spec.checkpoint) == kind)
    )


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure with the demo checkpoint and the shape that the budgets are for."""
    sizes = bench.sizes
    new_tokens = sizes.new_tokens * NEW_TOKENS_FACTOR
    columns = ("checkpoint, engine", "in the app tok/s", "bare script tok/s", "app / script [range]")
    method = METHOD.format(new=new_tokens, rounds=sizes.session_rounds, sessions=sizes.sessions)
    result = Result("in_app", method, columns)
    for name, checkpoint in bench.checkpoints.items():
        directory = engine_directory(bench, ENGINE, name)
        pairs, medians = list[tuple[float, float]](), list[float]()
        for session in range(sizes.sessions):
            rounds = _session(bench, checkpoint, directory, new_tokens, app_first=session % 2 == 1)
            pairs += rounds.best
            medians.append(statistics.median(inside / outside for inside, outside in rounds.best))
            result.notes.append(f"{name}, start {session + 1}: {medians[-1]:.3f}; {rounds.summary()}")
        inside, outside = [app_rate for app_rate, _ in pairs], [rate for _, rate in pairs]
        quotients = ratios(inside, outside)
        rates = number(statistics.median(inside)), number(statistics.median(outside))
        result.rows.append((f"{name} {ENGINE}", *rates, spread(quotients, "{:.3f}".format)))
        result.figures[name] = {"app tok/s": inside, "script tok/s": outside, "ratio of each start": medians}
        result.budgets.append(
            Budget(f"app / script, {name}", statistics.median(quotients), LIMIT, at_least=True)
        )
    return result


def _session(
    bench: BenchmarkEnvironment, checkpoint: Path, directory: str, new_tokens: int, app_first: bool
) -> QuietRounds[tuple[float, float]]:
    """Start app and script and run them alternately."""
    with contextlib.ExitStack() as stack:

        def start_app() -> MeasuredApp:
            return stack.enter_context(running(bench, checkpoint, ENGINE, bench.sizes.reference))

        def start_script() -> BareEngine:
            return stack.enter_context(bare_engine(bench, ENGINE, checkpoint, directory))

        if app_first:
            app, bare = start_app(), start_script()
        else:
            bare, app = start_script(), start_app()
        return _rounds(bench, app, bare, new_tokens)


def _rounds(
    bench: BenchmarkEnvironment, app: MeasuredApp, bare: BareEngine, new_tokens: int
) -> QuietRounds[tuple[float, float]]:
    rounds = QuietRounds[tuple[float, float]](bench.sizes, bench.sizes.session_rounds)
    app.call("set", mode="in turn", max_tokens=new_tokens)
    for turn in rounds:
        text = bench.random_words(PROMPT_WORDS)
        if turn % 2:
            script, answer = bare.ask(text, new_tokens), app.ask(text)[0]
        else:
            answer, script = app.ask(text)[0], bare.ask(text, new_tokens)
        assert answer["prompt_tokens"] == script["prompt_tokens"]
        app.clear()
        rounds.keep((answer["decode_rate"], script["decode_rate"]))
    return rounds
