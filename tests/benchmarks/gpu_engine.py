"""The engine process of `gpu_decode`: load the engine, then answer each JSON line with another."""

from __future__ import annotations

import json
import random
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any

from engines.backends.base import Backend
from engines.backends.registry import BACKENDS, backend_class
from engines.build.spec import GPUS, EngineSpec
from engines.worker.protocol import Sampling
from tests.doubles.log_report import LogReport

VOCABULARY = 30_000
"""Upper bound of random token ids; below the vocabulary of every shape (not of the demo)."""


class StderrReport(LogReport):
    """Prints stages, progress and log lines to stderr with the time."""

    def stage(self, name: str) -> None:
        """Print the stage."""
        _print(name)

    def progress(self, done: float, total: float | None = None, unit: str = "") -> None:
        """Print the progress."""
        _print(f"{done}/{total} {unit}")

    def log(self, line: str) -> None:
        """Print the line."""
        _print(line)


def _print(text: str) -> None:
    print(f"{time.monotonic():.1f} {' '.join(sys.argv[1:2])} {text}", file=sys.stderr, flush=True)


def copy_bandwidth() -> float:
    """Return the bytes per second, read plus written, of a 4 GiB copy on the device; 0 without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return 0.0
    source = torch.empty(2**32, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    seconds = []
    for _ in range(12):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        target.copy_(source)
        end.record()
        torch.cuda.synchronize()
        seconds.append(begin.elapsed_time(end) / 1000)
    return 2 * 2**32 / median(seconds[2:])


def parse(name: str) -> tuple[str, str, int, int]:
    """Return backend, precision, number of GPUs and the first GPU of an engine's name."""
    backend, _, rest = name.partition(":")
    rest, _, gpu = rest.partition("@")
    precision, _, parts = rest.partition("*")
    return backend, precision, int(parts or "1"), int(gpu or "0")


def load(name: str, folder: Path, context: int, warm: bool) -> tuple[Backend, dict[str, Any]]:
    """Load the engine; return it with its load times: the first, and with `warm` a second one.

    Args:
        name: `backend:precision`, `backend:precision*2` for its weights split over two GPUs, or
            `backend:precision@1` for the second GPU.
    """
    import torch

    backend_name, precision, parts, gpu = parse(name)
    device = f"cuda:{gpu}" if torch.cuda.is_available() else "cpu"
    options = {GPUS: str(parts)} if parts > 1 else {}
    spec = EngineSpec(str(folder), backend_name, precision, device=device, context=context, options=options)
    facts: dict[str, Any] = {}
    directory: Path | None = None
    begun = time.monotonic()
    if warm and BACKENDS[backend_name].builds:
        directory = Path(mkdtemp())
    if directory is not None:
        builder = backend_class(backend_name)()
        facts["facts"] = builder.prepare(spec, folder, directory, StderrReport())
        facts["first_s"] = time.monotonic() - begun
        builder.close()
        begun = time.monotonic()
    backend = backend_class(backend_name)()
    backend.load(spec, folder, directory, StderrReport())
    facts["again_s" if directory is not None else "first_s"] = time.monotonic() - begun
    memory = backend.memory_usage()
    facts |= {"weights": memory.weights if memory else None, "kv": memory.kv if memory else None}
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    return backend, facts


def answer(backend: Backend, request: dict[str, Any]) -> dict[str, Any]:
    """Generate from a random prompt; return TTFT, gaps between tokens in ms and the peak memory."""
    rng = random.Random(request["seed"])
    top = min(VOCABULARY, getattr(backend, "_vocabulary", VOCABULARY))
    prompt = [rng.randrange(top) for _ in range(request["tokens"])]
    stamps: list[float] = []
    sampling = Sampling(max_tokens=request["new"], ignore_eos=True)
    begun = time.perf_counter()
    backend.generate(
        prompt, sampling, frozenset(), lambda new: stamps.append(time.perf_counter()), lambda: False
    )
    memory = backend.memory_usage()
    return {
        "ttft_ms": (stamps[0] - begun) * 1000,
        "gaps": [(after - before) * 1000 for before, after in pairwise(stamps)],
        "peak": (memory.peak if memory else None) or 0,
    }


def main() -> None:
    """Load the engine and answer requests until stdin ends."""
    name, folder, context, warm = sys.argv[1:]
    backend, facts = load(name, Path(folder), int(context), warm == "1")
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(backend, json.loads(line))), flush=True)
    backend.close()


if __name__ == "__main__":
    main()
