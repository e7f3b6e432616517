"""How long a `compiled` engine takes to be built from nothing and to be opened, and how fast it then is.

`python -m tests.benchmarks.gpu_open --json figures.json`: each build and each opening is a process of its
own, one at a time, with an empty compile cache. The eager engine of the same checkpoint runs beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engines.backends.registry import BACKENDS
from engines.demo import CHECKPOINT
from engines.environments.bytecode import bytecode_advice
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.estimate.estimate import bytes_read_per_token
from engines.plan.hardware.hardware import gpus
from engines.plan.random_shape import PREFIX, shape_folder
from tests.benchmarks.gpu_decode import Meter, measured_copy
from tests.benchmarks.gpu_open_engine import NEW, PROMPT, ROUNDS, TURNS

RUNS = ("demo=compiled:bf16", "shape:llama-2-7b=compiled:bf16")
METHOD = (
    "Seconds from the first statement of the process to an engine that can answer: imports, weights, "
    "tracing, compiling, tuning, CUDA graphs. Each in a process of its own, one at a time; build: the "
    "compile cache is empty; open: what was built. Parts: the engine's own log. "
    f"Decode: batch 1, greedy, {NEW} tokens after {PROMPT}, median of {ROUNDS} after one warm-up; bandwidth: "
    "(weight bytes read per token + KV) * tok/s / measured device copy, read plus written. "
    f"TTFT: of these prompts; turns: TTFT of turn {TURNS} / turn 1. Memory: NVML, all processes."
)


def run(name: str, folder: Path, directory: Path, context: int, wanted: str) -> dict[str, Any]:
    """Run one engine process and return what it printed.

    Raises:
        RuntimeError: it failed; its output has been printed.
    """
    command = [sys.executable, "-m", "tests.benchmarks.gpu_open_engine", name, str(folder), str(directory)]
    begun = time.monotonic()
    done = subprocess.run(
        [*command, str(context), wanted], capture_output=True, text=True, check=False, timeout=400
    )
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-6000:], flush=True)
        raise RuntimeError(f"{name} {wanted}: status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"process_s": time.monotonic() - begun, "stderr": done.stderr[-1500:]}


def show(found: dict[str, Any], read: int, copy: float) -> None:
    """Print one run: its parts, and its speed."""
    share = f"{read * found['decode'] / copy:.0%} of bandwidth" if copy else "no device copy"
    print(f"\n{found['name']} {found['wanted']}: ready in {found['ready_s']:.1f} s")
    for line in found["lines"]:
        print(f"    {line}")
    print(f"    tuned by coordinate descent: {len(found['tuned'])} kernels {found['tuned'][:4]}")
    print(f"    compiler: {found['metrics']}")
    print(f"    facts: {found['facts']}")
    print(
        f"    {found['decode']:.1f} tok/s, {share}; TTFT {found['ttft_ms']:.1f} ms, last turn / first "
        f"{found['last_turn_to_first']:.2f} {found['turns_ms']}; "
        f"other device memory {found['other_gb']:.2f} GB",
        flush=True,
    )


def measure(checkpoint: str, engine: str, context: int, opens: int, copy: float) -> list[dict[str, Any]]:
    """Build an engine and open it `opens` times; one that is not built is opened once."""
    with TemporaryDirectory() as root, TemporaryDirectory() as built:
        folder = shape_folder(checkpoint, Path(root)) if checkpoint.startswith(PREFIX) else CHECKPOINT
        read = bytes_read_per_token(
            read_checkpoint(folder), engine.partition(":")[2], "bf16", PROMPT + NEW // 2
        )
        rows = []
        built_first = BACKENDS[engine.partition(":")[0]].builds
        steps = ["build", *["open"] * opens] if built_first else ["open"]
        for wanted in steps:
            try:
                rows.append(run(engine, folder, Path(built), context, wanted) | {"checkpoint": checkpoint})
            except RuntimeError as error:
                print(f"FAILED {error}", flush=True)
                break
            show(rows[-1], read, copy)
        return rows


def main(arguments: list[str] | None = None) -> None:
    """Measure each CHECKPOINT=ENGINE."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", default=list(RUNS), help="CHECKPOINT=ENGINE: `demo` or a shape")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--opens", type=int, default=2, help="processes that open what was built")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    packages = ("torch", "transformers", "torchao")
    meter, copy = Meter(), measured_copy()
    before = meter.used()
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    print(f"{[gpu.title for gpu in gpus()]}, {versions}, copy {copy / 1e12:.2f} TB/s\n{METHOD}", flush=True)
    print(bytecode_advice(), flush=True)
    rows = []
    for one in options.runs:
        checkpoint, _, engine = one.partition("=")
        rows += measure(checkpoint, engine, options.context, options.opens, copy)
    time.sleep(1)
    print(f"\ndevice memory before {before / 1e9:.2f} GB, after {meter.used() / 1e9:.2f} GB")
    if options.json:
        report = {"method": METHOD, "versions": versions, "copy_bytes_per_second": copy, "rows": rows}
        options.json.write_text(json.dumps(report, indent=1), "utf-8")


if __name__ == "__main__":
    main()
