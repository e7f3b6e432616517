"""How fast Compare shows an answer that was compared before, and the event loop's lag while it computes."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from textual.pilot import Pilot

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.compare import CompareScreen
from app.state.settings.settings import ChatOptions, EngineChoice, Settings
from app.state.side.phase import Phase
from app.widgets.chat.prompt import PromptInput
from engines.measure.timing import percentile
from engines.worker.protocol import Sampling
from tests.benchmarks.environment import BenchmarkEnvironment
from tests.benchmarks.inside import shows_all
from tests.benchmarks.measured_app import F5, running
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.table import Budget, Result, spread
from tests.faults.random_keys import key_event

METHOD = """\
The app without a terminal (Textual's Pilot, 160x48), OpenVINO int4 and int8 on the smallest checkpoint, one
prompt with an answer of {tokens} tokens. F5 compares it once; then it is closed and opened again: the time
from the key until table, shaded text and inspector show the engine's figures, which are read from disk.
{rounds} rounds after one warm-up. Lag: the same on a pseudo-terminal, from F5 until everything is computed:
engines started, answers generated and scored, speed timed. A task in the app's event loop sleeps 5 ms in a
loop; the lag is how late it wakes up."""
LIMIT_SECONDS, LIMIT_LAG = 0.3, 16.0


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure with the smallest checkpoint."""
    sizes = bench.sizes
    method = METHOD.format(tokens=sizes.compared_tokens, rounds=sizes.rounds)
    result = Result("compare_open", method, ("", "[range]"))
    with _own_folders(bench):
        rounds = asyncio.run(_rounds(bench))
    result.rows.append(("opening, s", spread(rounds.best, "{:.3f}".format)))
    result.figures["opening"] = {"s": rounds.best}
    result.notes.append(rounds.summary())
    result.budgets.append(Budget("Compare opens", statistics.median(rounds.best), LIMIT_SECONDS, " s"))
    lags = sorted(max(0.0, lag) * 1e3 for lag in _lags(bench))
    p50, p95, p99 = (percentile(lags, percent) for percent in (50, 95, 99))
    result.rows.append(
        ("lag while computing, p50 p95 p99 ms", f"{p50:.1f} {p95:.1f} {p99:.1f}, longest {lags[-1]:.0f}")
    )
    result.figures["lag ms"] = {"samples": len(lags), "p50": p50, "p95": p95, "p99": p99, "longest": lags[-1]}
    result.budgets.append(Budget("lag p95 while Compare computes", p95, LIMIT_LAG, " ms"))
    return result


def _lags(bench: BenchmarkEnvironment) -> list[float]:
    """Return the lags in seconds while an answer is compared for the first time."""
    with running(bench, bench.smallest[1], "openvino:int4", "openvino:int8") as app:
        app.call("set", mode="in turn", max_tokens=bench.sizes.compared_tokens)
        app.ask("What is a token?")
        app.call("probe")
        app.terminal.press(F5)
        app.call("compared")
        lags: list[float] = app.call("lags")
    return lags


async def _rounds(bench: BenchmarkEnvironment) -> QuietRounds[float]:
    rounds = QuietRounds[float](bench.sizes)
    app = _app(bench)
    async with app.run_test(size=(160, 48)) as pilot:
        await _until(pilot, lambda: all(side.phase is Phase.READY for side in app.sides))
        app.screen.query_one(PromptInput).load_text("What is a KV cache?")
        await pilot.press("enter")
        turns = app.right.conversation.turns
        await _until(pilot, lambda: bool(turns) and turns[-1].reason != "")
        await _until(pilot, lambda: all(side.phase is Phase.READY for side in app.sides))
        await _opened(pilot)
        for _ in rounds:
            await pilot.press("escape")
            await _until(pilot, lambda: isinstance(app.screen, ChatScreen))
            rounds.keep(await _opened(pilot))
    return rounds


async def _opened(pilot: Pilot[None]) -> float:
    """Open Compare, and return the seconds until it shows everything."""
    app, started = pilot.app, time.monotonic()
    app.post_message(key_event("f5"))  # `Pilot.press` would add its own waits
    while not (isinstance(app.screen, CompareScreen) and shows_all(app.screen)):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    return time.monotonic() - started


async def _until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await pilot.pause()


def _app(bench: BenchmarkEnvironment) -> Playground:
    name, folder = bench.smallest
    answers = ChatOptions(sampling=Sampling(max_tokens=bench.sizes.compared_tokens, ignore_eos=True))
    return Playground(
        Settings(
            checkpoint=name if name == "demo" else str(folder),
            chosen=True,
            welcomed=True,
            left=EngineChoice("openvino", "int4"),
            right=EngineChoice("openvino", "int8"),
            left_chat=answers,
            right_chat=answers,
        )
    )


@contextmanager
def _own_folders(bench: BenchmarkEnvironment) -> Iterator[None]:
    """Use the benchmark's folders for what the app keeps."""
    before = dict(os.environ)
    os.environ.update(bench.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
