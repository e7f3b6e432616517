"""The engine process of `gpu_open`: import, build or open an engine, measure its decode, and print JSON.

The clock starts before the first import, so that the seconds contain everything that a worker does.
"""

from __future__ import annotations

import time

BEGUN = time.monotonic()

import gc  # noqa: E402 - the clock comes first
import json  # noqa: E402
import os  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from engines.backends.base import Backend  # noqa: E402
from engines.backends.registry import BACKENDS, backend_class  # noqa: E402
from engines.build.spec import EngineSpec  # noqa: E402
from engines.worker.protocol import Sampling  # noqa: E402
from tests.doubles.log_report import LogReport  # noqa: E402

PROMPT, NEW, ROUNDS = 128, 128, 3
TURN, REPLY, TURNS = 64, 16, 10
"""Tokens of a prompt and its answer, counted answers; new tokens, answer and turns of the conversation."""


class TimedReport(LogReport):
    """Keeps the stages and log lines with the seconds since the process began."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tuned: list[str] = []

    def stage(self, name: str) -> None:
        """Keep when the stage began, and from `compile` on the names of tuned kernels."""
        self.log(f"[{name}]")
        if name == "compile":
            self.tuned = tuned_again()

    def log(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(f"{time.monotonic() - BEGUN:6.1f} s  {line}")


def tuned_again() -> list[str]:
    """Return a list to which the name of every kernel is added that coordinate descent tunes from now on."""
    names: list[str] = []
    try:
        from torch._inductor.runtime.triton_heuristics import CachingAutotuner
    except ImportError:  # without Triton there is nothing to tune
        return names
    tune = CachingAutotuner.coordinate_descent_tuning

    def noted(self: Any, launcher: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(f"{self.inductor_meta.get('kernel_name')}: from {launcher.config}")
        return tune(self, launcher, *args, **kwargs)

    CachingAutotuner.coordinate_descent_tuning = noted
    return names


def answer(backend: Backend, prompt: list[int], new: int) -> tuple[list[int], float, float]:
    """Return an answer, its TTFT in ms and its decode tok/s."""
    stamps: list[float] = []
    tokens: list[int] = []

    def take(some: Any) -> None:
        stamps.append(time.perf_counter())
        tokens.extend(some)

    begun = time.perf_counter()
    backend.generate(prompt, Sampling(max_tokens=new, ignore_eos=True), frozenset(), take, lambda: False)
    return tokens, 1000 * (stamps[0] - begun), (len(stamps) - 1) / (stamps[-1] - stamps[0])


def speed(backend: Backend) -> dict[str, Any]:
    """Return decode tok/s and TTFT: of prompts of PROMPT tokens, of each turn, and of the last / first."""
    runs = [
        answer(backend, [(31 * place + 977 * number) % 4000 for place in range(PROMPT)], NEW)
        for number in range(ROUNDS + 1)
    ][1:]
    tokens: list[int] = []
    times = []
    for turn in range(TURNS):
        tokens += [(17 * place + 61 * turn) % 4000 for place in range(TURN)]
        reply, ttft, _ = answer(backend, tokens, REPLY)
        tokens += reply
        times.append(ttft)
    return {
        "turns_ms": [round(ttft, 1) for ttft in times],
        "decode": statistics.median(rate for _, _, rate in runs),
        "ttft_ms": statistics.median(ttft for _, ttft, _ in runs),
        "last_turn_to_first": times[-1] / times[0],
    }


def main() -> None:
    """`NAME FOLDER DIRECTORY CONTEXT build|open`: do it, measure, print one line of JSON."""
    name, folder, directory, context, wanted = sys.argv[1:]
    backend_name, _, precision = name.partition(":")
    kind = backend_class(backend_name)
    kind.start_process()
    import torch

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    spec = EngineSpec(folder, backend_name, precision, device=device, context=int(context))
    report, backend = TimedReport(), kind()
    report.log("[torch imported]")
    facts: dict[str, Any] = {}
    if wanted == "build":
        facts = backend.prepare(spec, Path(folder), Path(directory), report)
    else:
        built = BACKENDS[backend_name].builds
        backend.load(spec, Path(folder), Path(directory) if built else None, report)
    ready = time.monotonic() - BEGUN
    used = os.times()
    report.log(f"[ready]; CPU seconds: {used.user:.1f} user, {used.system:.1f} system")
    gc.freeze()  # as the worker does
    memory = backend.memory_usage()
    found = {"name": name, "wanted": wanted, "ready_s": ready, "lines": report.lines, "facts": facts}
    found |= {"tuned": report.tuned, "metrics": _compiler_seconds()}
    found |= speed(backend)
    found["other_gb"] = (memory.other or 0) / 1e9 if memory else 0.0
    backend.close()
    print(json.dumps(found), flush=True)


def _compiler_seconds() -> dict[str, float]:
    """Return PyTorch's own seconds for the parts that took longest; they contain one another."""
    if "torch._dynamo.utils" not in sys.modules:
        return {}
    from torch._dynamo.utils import compilation_time_metrics

    seconds = {name: round(sum(values), 2) for name, values in compilation_time_metrics.items()}
    return dict(sorted(seconds.items(), key=lambda one: -one[1])[:24])


if __name__ == "__main__":
    main()
