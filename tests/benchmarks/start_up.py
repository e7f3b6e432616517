"""Start-up time: `--version` and the first frame."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from app.state.settings.settings import EngineChoice, Settings, save_settings
from tests.benchmarks.environment import PROJECT, BenchmarkEnvironment
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.table import Budget, Result, spread
from tests.benchmarks.terminal import Terminal

METHOD = """\
From the start of the process. The first frame is complete when the title, the last key of the footer and
texts of the screen have been read from the pseudo-terminal (160×48): the first start opens Models, later
ones Chat, where both engines' workers start at the same time. {starts} interleaved rounds after one warm-up
round; medians."""
MODELS_TEXTS = ("What Enter does", "Right", "native", "palette")
CHAT_TEXTS = ("Chat", "sk both sides", "Decode tok/s", "KV cache", "Device", "palette")
VERSION_LIMIT, FRAME_LIMIT = 0.15, 0.6


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure two Python baselines, `--version` and two first frames."""
    starts = bench.sizes.starts
    result = Result("start_up", METHOD.format(starts=starts), ("", "seconds [range]"))
    program = str(Path(sys.executable).parent / "trt-playground")
    measures: dict[str, Callable[[], float]] = {
        "python -c pass": lambda: _command(bench, [sys.executable, "-c", "pass"]),
        'python -c "import textual.app"': lambda: _command(
            bench, [sys.executable, "-c", "import textual.app"]
        ),
        "trt-playground --version": lambda: _command(bench, [program, "--version"]),
        "first frame, first start": lambda: _frame(bench, program, False),
        "first frame, engines chosen": lambda: _frame(bench, program, True),
    }
    rounds = QuietRounds[dict[str, float]](bench.sizes, starts)
    for _ in rounds:
        rounds.keep({name: measure() for name, measure in measures.items()})
    result.notes.append(rounds.summary())
    for name in measures:
        values = [seconds[name] for seconds in rounds.best]
        result.rows.append((name, spread(values, "{:.3f}".format)))
        result.figures[name] = values
        limit = VERSION_LIMIT if name.endswith("--version") else FRAME_LIMIT
        if not name.startswith("python"):
            result.budgets.append(Budget(name, statistics.median(values), limit, " s"))
    return result


def _command(bench: BenchmarkEnvironment, command: list[str]) -> float:
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, cwd=PROJECT, env=bench.environment)
    return time.monotonic() - started


def _frame(bench: BenchmarkEnvironment, program: str, chosen: bool) -> float:
    file = bench.folder / "first-frame.toml"
    _, checkpoint = bench.smallest
    engine = EngineChoice("openvino", bench.sizes.precisions[0])
    settings = Settings(checkpoint=str(checkpoint), chosen=chosen, left=engine, right=engine)
    save_settings(file, settings)
    terminal = Terminal([program], bench.environment | {"TRT_PLAYGROUND_CONFIG": str(file)})
    try:
        shown = terminal.wait_for(CHAT_TEXTS if chosen else MODELS_TEXTS)
    finally:
        terminal.end()
    return (shown - terminal.started_ns) / 1e9
