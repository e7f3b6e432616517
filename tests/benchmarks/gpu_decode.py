"""Decode speed on one GPU: eager PyTorch and the compiled engine at every precision, in interleaved rounds.

`python -m tests.benchmarks.gpu_decode --json figures.json` prints a table and writes all figures. Each engine
has a separate process; all are loaded, and one runs at a time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engines.backends.random_weights import is_random
from engines.demo import CHECKPOINT
from engines.measure.timing import percentile
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.estimate.estimate import bytes_read_per_token
from engines.plan.hardware.nvml import Nvml
from engines.plan.random_shape import PREFIX, shape_folder
from tests.benchmarks.gpu_engine import parse
from tests.benchmarks.gpu_process import EngineBehindPipe

ENGINES = ("pytorch:bf16", "compiled:bf16", "compiled:int8", "compiled:fp8", "compiled:int4")
PROMPTS = (128, 2048)
"""Tokens of the short and the long prompt."""
LENGTHS = ("short", "long")
METHOD = (
    "batch 1, greedy, random token ids as prompts (new for each request), end tokens ignored; "
    "{new} new tokens after the short prompt ({prompts} tokens: short, long) and {few} after the long one; "
    "{rounds} rounds in which every engine answers once, after one warm-up round; "
    "TTFT from the call to the first token on the host; decode tok/s = (tokens - 1) / (last - first); "
    "medians over rounds, ICL percentiles over all gaps; J/token = NVML's energy counter over the whole "
    "answer / tokens, gross; MBU = (weight bytes read per token + KV) * tok/s / measured device copy."
)


class Engine(EngineBehindPipe):
    """An engine process and its answers."""

    def __init__(self, name: str, folder: Path, context: int, warm: bool) -> None:
        super().__init__("tests.benchmarks.gpu_engine", name, str(folder), str(context), str(int(warm)))
        self.answers: list[dict[str, Any]] = []


class Meter:
    """NVML's counters of the first GPU; 0 without a GPU."""

    def __init__(self) -> None:
        self._nvml = Nvml.open()
        self._device = (self._nvml.devices() or [None])[0] if self._nvml else None

    def joules(self) -> float:
        """Return the energy in joules since the driver was loaded."""
        found = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return float(found or 0) / 1000

    def used(self) -> int:
        """Return the bytes in use on the device by all processes."""
        memory = self._ask("nvmlDeviceGetMemoryInfo")
        return int(memory.used) if memory else 0

    def _ask(self, function: str) -> Any:
        return self._nvml.ask(function, self._device) if self._nvml and self._device else None


def start(names: list[str], folder: Path, context: int, warm: str, lanes: int, apart: float) -> list[Engine]:
    """Load the engines, `lanes` in parallel; engines that fail are reported and left out.

    Args:
        apart: seconds between starts, so that fewer engines tune their kernels at the same time.
    """
    begun = time.monotonic()

    def load(name: str) -> Engine | None:
        time.sleep(max(0.0, begun + apart * names.index(name) - time.monotonic()))
        engine = Engine(name, folder, context, name == warm)
        try:
            engine.wait()
        except RuntimeError as error:
            print(f"FAILED {name}: {error}", flush=True)
            return None
        return engine

    with ThreadPoolExecutor(lanes) as pool:
        return [engine for engine in pool.map(load, names) if engine]


def run(engines: list[Engine], prompts: list[int], rounds: int, wanted: list[int], meter: Meter) -> None:
    """Run every engine in turn with both prompt lengths."""
    for number in range(rounds + 1):
        for engine in engines:
            for length, tokens, new in zip(LENGTHS, prompts, wanted, strict=True):
                before = meter.joules()
                answer = engine.ask({"seed": 1000 * number + tokens, "tokens": tokens, "new": new})
                answer |= {"joules": meter.joules() - before, "length": length, "round": number}
                engine.answers.append(answer)


def figures(engine: Engine, prompt: int, folder: Path, copy: float) -> dict[str, Any]:
    """Return the figures of one engine; `copy` is the measured bandwidth in bytes per second."""
    counted = [answer for answer in engine.answers if answer["round"]]
    row: dict[str, Any] = {"engine": engine.name, **engine.loaded}
    for tokens in LENGTHS:
        mine = [answer for answer in counted if answer["length"] == tokens]
        gaps = sorted(gap for answer in mine for gap in answer["gaps"])
        row[f"ttft_{tokens}_ms"] = statistics.median(answer["ttft_ms"] for answer in mine)
        row[f"decode_{tokens}"] = statistics.median(
            1000 * len(answer["gaps"]) / sum(answer["gaps"]) for answer in mine
        )
        row[f"icl_{tokens}_p50_ms"], row[f"icl_{tokens}_p95_ms"] = (percentile(gaps, p) for p in (50.0, 95.0))
        row[f"joules_{tokens}"] = statistics.median(
            answer["joules"] / (len(answer["gaps"]) + 1) for answer in mine
        )
    row["peak_gb"] = max(answer["peak"] for answer in counted) / 1e9
    middle = prompt + len(next(a for a in counted if a["length"] == "short")["gaps"]) // 2
    checkpoint = read_checkpoint(folder)
    _, precision, parts, _ = parse(engine.name)
    read = bytes_read_per_token(checkpoint, precision, "bf16", middle) / parts
    row["bytes_per_token"] = read
    row["mbu"] = read * row["decode_short"] / copy if copy else 0.0
    return row


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return a Markdown table; × is relative to the decode rate of the first row."""
    lines = [
        "| engine | TTFT short ms | TTFT long ms | decode tok/s | × eager | after long | ICL p50/p95 ms "
        "| MBU | J/token | peak GB | first load s | second load s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        again = f"{row['again_s']:.0f}" if row.get("again_s") else "–"
        lines.append(
            f"| {row['engine']} | {row['ttft_short_ms']:.1f} | {row['ttft_long_ms']:.1f} "
            f"| {row['decode_short']:.1f} | {row['decode_short'] / rows[0]['decode_short']:.2f} "
            f"| {row['decode_long']:.1f} | {row['icl_short_p50_ms']:.2f} / {row['icl_short_p95_ms']:.2f} "
            f"| {row['mbu']:.0%} | {row['joules_short']:.2f} | {row['peak_gb']:.1f} "
            f"| {row['first_s']:.0f} | {again} |"
        )
    return lines


def measured_copy() -> float:
    """Return the bytes per second, read plus written, of a large copy on the device; 0 if it fails."""
    code = "from tests.benchmarks.gpu_engine import copy_bandwidth; print(copy_bandwidth())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return float(found.stdout.split()[-1]) if found.returncode == 0 else 0.0


def main(arguments: list[str] | None = None) -> None:
    """Measure one shape or checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="shape:llama-2-7b", help="a shape, `demo`, or a folder")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new", type=int, default=256)
    parser.add_argument("--few", type=int, default=64)
    parser.add_argument("--prompts", nargs=2, type=int, default=list(PROMPTS))
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--lanes", type=int, default=1, help="engines that load in parallel")
    parser.add_argument("--apart", type=float, default=0.0, help="seconds between the starts of two engines")
    parser.add_argument(
        "--warm", default="", help="the engine that is prepared and then loaded a second time"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as root:
        folder = _folder(options.checkpoint, Path(root))
        meter, copy = Meter(), measured_copy()
        idle = meter.used()
        engines = start(options.engines, folder, options.context, options.warm, options.lanes, options.apart)
        run(engines, options.prompts, options.rounds, [options.new, options.few], meter)
        rows = [figures(engine, options.prompts[0], folder, copy) for engine in engines]
        for engine in engines:
            engine.close()
        time.sleep(1)
        method = METHOD.format(
            prompts=options.prompts, new=options.new, few=options.few, rounds=options.rounds
        )
        packages = ("torch", "transformers", "torchao")
        report = {
            "checkpoint": options.checkpoint,
            "random": is_random(folder),
            "method": method,
            "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
            "copy_bytes_per_second": copy,
            "device_bytes_before": idle,
            "device_bytes_after": meter.used(),
            "rows": rows,
        }
    print("\n".join([*table(rows), "", method, f"copy {copy / 1e12:.2f} TB/s, {report['versions']}"]))
    print(f"device memory before {idle / 1e9:.2f} GB, after {report['device_bytes_after'] / 1e9:.2f} GB")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), "utf-8")


def _folder(name: str, root: Path) -> Path:
    if name.startswith(PREFIX):
        return shape_folder(name, root)
    return CHECKPOINT if name == "demo" else Path(name)


if __name__ == "__main__":
    main()
