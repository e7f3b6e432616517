"""Two GPUs: two engines at the same time, each on a GPU of its own, and one engine split over both.

`python -m tests.benchmarks.gpu_two --json figures.json`: each engine has a process of its own. In each round
each engine answers alone, then the first two answer at the same time.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engines.plan.hardware.hardware import gpus
from engines.plan.random_shape import shape_folder
from tests.benchmarks.gpu_decode import Engine, start

ENGINES = ("compiled:bf16", "pytorch:bf16@1", "compiled:bf16*2")
"""On the first GPU, on the second one, and split over both."""
METHOD = (
    "batch 1, greedy, {new} tokens after a random prompt of {prompt}, end tokens ignored; decode tok/s = "
    "(tokens - 1) / (last - first); medians of {rounds} rounds after one warm-up round"
)


def rate(engine: Engine, seed: int, prompt: int, new: int) -> float:
    """Let an engine answer; return its decode rate in tok/s."""
    gaps: list[float] = engine.ask({"seed": seed, "tokens": prompt, "new": new})["gaps"]
    return 1000 * len(gaps) / sum(gaps)


def measure(engines: Sequence[Engine], rounds: int, prompt: int, new: int) -> dict[str, Any]:
    """Return the medians: `alone` by engine, and `together` of the first two."""
    alone: list[list[float]] = []
    together: list[list[float]] = []
    with ThreadPoolExecutor(2) as pool:
        for number in range(rounds + 1):
            alone.append([rate(engine, number, prompt, new) for engine in engines])
            both = [pool.submit(rate, engine, number, prompt, new) for engine in engines[:2]]
            together.append([one.result() for one in both])
    return {
        "alone": [statistics.median(column) for column in zip(*alone[1:], strict=True)],
        "together": [statistics.median(column) for column in zip(*together[1:], strict=True)],
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure one shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="shape:llama-3.1-8b")
    parser.add_argument("--engines", nargs=3, default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--new", type=int, default=256)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as root:
        folder = shape_folder(options.checkpoint, Path(root))
        engines = start(options.engines, folder, 4096, "", 3, 0.0)
        found = measure(engines, options.rounds, options.prompt, options.new)
        show(found, options)
        for engine in engines:
            engine.close()
    if options.json:
        options.json.write_text(json.dumps(found | {"engines": options.engines}, indent=1), "utf-8")


def show(found: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the machine, the method and the figures."""
    versions = {name: version(name) for name in ("torch", "transformers")}
    print(f"{[gpu.title for gpu in gpus()]}, {versions}, {options.checkpoint}")
    print(METHOD.format(new=options.new, prompt=options.prompt, rounds=options.rounds))
    alone, together = found["alone"], found["together"]
    for name, rate_alone, rate_together in zip(options.engines[:2], alone[:2], together, strict=True):
        print(
            f"{name}: {rate_alone:.1f} tok/s alone, {rate_together:.1f} together: "
            f"{rate_together / rate_alone:.2f}"
        )
    print(
        f"{options.engines[2]}: {alone[2]:.1f} tok/s, {alone[2] / alone[0]:.2f} of {options.engines[0]}",
        flush=True,
    )


if __name__ == "__main__":
    main()
