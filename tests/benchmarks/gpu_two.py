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

PAIRS = ("compiled:bf16,pytorch:bf16@1", "compiled:bf16,compiled:int8@1")
"""Engines that answer at the same time, one on each GPU; the first is also compared with the split one."""
SPLIT = "compiled:bf16*2"
METHOD = (
    "batch 1, greedy, {new} tokens after a random prompt of {prompt}, end tokens ignored; decode tok/s = "
    "(tokens - 1) / (last - first). In each of {rounds} rounds, after one warm-up round, each engine answers "
    "alone, then the engines of each pair at the same time: the faster one answers again until the other is "
    "done. Medians of the rates, and of the ratios of the rounds [range]"
)
Rates = dict[str, float]


def rate(engine: Engine, seed: int, prompt: int, new: int) -> float:
    """Let an engine answer; return its decode rate in tok/s."""
    gaps: list[float] = engine.ask({"seed": seed, "tokens": prompt, "new": new})["gaps"]
    return 1000 * len(gaps) / sum(gaps)


def rates_together(pair: Sequence[Engine], seed: int, prompt: int, new: int) -> list[float]:
    """Let two engines answer until each has answered once; return the median rate of each."""
    done: set[str] = set()

    def run(engine: Engine) -> float:
        rates = [rate(engine, seed, prompt, new)]
        done.add(engine.name)
        while len(done) < len(pair):
            rates.append(rate(engine, seed, prompt, new))
        return statistics.median(rates)

    with ThreadPoolExecutor(len(pair)) as pool:
        return list(pool.map(run, pair))


def measure(
    engines: dict[str, Engine], pairs: Sequence[Sequence[str]], rounds: int, prompt: int, new: int
) -> list[dict[str, Any]]:
    """Return for each round the rates `alone` by engine, and `together` by pair."""
    found = []
    for number in range(rounds + 1):
        alone = {name: rate(engine, number, prompt, new) for name, engine in engines.items()}
        together = [rates_together([engines[name] for name in pair], number, prompt, new) for pair in pairs]
        found.append({"alone": alone, "together": together})
    return found[1:]


def main(arguments: list[str] | None = None) -> None:
    """Measure one shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="shape:llama-3.1-8b")
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS))
    parser.add_argument("--split", default=SPLIT)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--new", type=int, default=256)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    pairs = [pair.split(",") for pair in options.pairs]
    names = list(dict.fromkeys([*(name for pair in pairs for name in pair), options.split]))
    with TemporaryDirectory() as root:
        folder = shape_folder(options.checkpoint, Path(root))
        engines = {engine.name: engine for engine in start(names, folder, 4096, "", len(names), 0.0)}
        found = measure(engines, pairs, options.rounds, options.prompt, options.new)
        show(found, pairs, options)
        for engine in engines.values():
            engine.close()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), "utf-8")


def show(found: list[dict[str, Any]], pairs: Sequence[Sequence[str]], options: argparse.Namespace) -> None:
    """Print the machine, the method and the figures."""
    versions = {name: version(name) for name in ("torch", "transformers")}
    print(f"{[gpu.title for gpu in gpus()]}, {versions}, {options.checkpoint}")
    print(METHOD.format(new=options.new, prompt=options.prompt, rounds=options.rounds))
    alone: list[Rates] = [one["alone"] for one in found]
    for index, pair in enumerate(pairs):
        for place, name in enumerate(pair):
            other = pair[1 - place]
            both = [one["together"][index][place] for one in found]
            print(f"{name} beside {other}: {compared(both, [one[name] for one in alone])}")
    whole = pairs[0][0]
    split = compared([one[options.split] for one in alone], [one[whole] for one in alone])
    print(f"{options.split}, and {whole} alone: {split}", flush=True)


def compared(rates: Sequence[float], alone: Sequence[float]) -> str:
    """Return both median rates, and the median of the ratios with its range."""
    ratios = [rate / base for rate, base in zip(rates, alone, strict=True)]
    return (
        f"{statistics.median(rates):.1f} tok/s, alone {statistics.median(alone):.1f}: "
        f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"
    )


if __name__ == "__main__":
    main()
