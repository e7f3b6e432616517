"""How long people wait for the version and for the first frame."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from app.state.settings.settings import EngineChoice, Settings, save_settings
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.table import Budget, Result, spread
from tests.benchmarks.terminal import Terminal
from tests.benchmarks.workshop import PROJECT, Workshop

METHOD = """\
From the start of the process. The first frame is there when the title, the last key of the footer and the
screen's own words have been read from the pseudo-terminal (160×48): the first start opens on Prepare, later
ones on Chat, where both engines' workers start at the same time. Everything {starts} times, in turn, after
one round of warm-up; medians."""
PREPARE_WORDS = ("Choose a precision", "Right", "native", "palette")
CHAT_WORDS = ("Chat", "sk both sides", "Decode tok/s", "KV cache", "Device", "palette")
VERSION_LIMIT, FRAME_LIMIT = 0.15, 0.6


def run(workshop: Workshop) -> Result:
    """Two yardsticks, the version, two first frames."""
    starts = workshop.numbers.starts
    result = Result("start_up", METHOD.format(starts=starts), ("", "seconds [range]"))
    program = str(Path(sys.executable).parent / "trt-playground")
    measures: dict[str, Callable[[], float]] = {
        "python -c pass": lambda: _command(workshop, [sys.executable, "-c", "pass"]),
        'python -c "import textual.app"': lambda: _command(
            workshop, [sys.executable, "-c", "import textual.app"]
        ),
        "trt-playground --version": lambda: _command(workshop, [program, "--version"]),
        "first frame, first start": lambda: _frame(workshop, program, False),
        "first frame, engines chosen": lambda: _frame(workshop, program, True),
    }
    rounds = QuietRounds[dict[str, float]](workshop.numbers, starts)
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


def _command(workshop: Workshop, words: list[str]) -> float:
    started = time.monotonic()
    subprocess.run(words, check=True, capture_output=True, cwd=PROJECT, env=workshop.environment)
    return time.monotonic() - started


def _frame(workshop: Workshop, program: str, chosen: bool) -> float:
    file = workshop.folder / "first-frame.toml"
    _, checkpoint = workshop.smallest
    engine = EngineChoice("openvino", workshop.numbers.precisions[0])
    settings = Settings(checkpoint=str(checkpoint), chosen=chosen, left=engine, right=engine)
    save_settings(file, settings)
    terminal = Terminal([program], workshop.environment | {"TRT_PLAYGROUND_CONFIG": str(file)})
    try:
        shown = terminal.wait_for(CHAT_WORDS if chosen else PREPARE_WORDS)
    finally:
        terminal.end()
    return (shown - terminal.started_ns) / 1e9
