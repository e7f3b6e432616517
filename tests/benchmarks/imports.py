"""What `eager_imports` saves: CPU time and memory of a process that loads a small model and answers."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.environment import PROJECT, BenchmarkEnvironment
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.table import Result, number, ratios, spread

METHOD = """\
A script that imports transformers as a PyTorch worker does, loads a checkpoint in fp32 and generates 4
tokens; `plain` imports everything, `eager` calls skip_compiler() first. CPU seconds of the whole process,
and its RSS at the end. Alternately, {rounds} rounds after one warm-up round; medians."""
SCRIPT = """
import json, sys, time
from pathlib import Path
import psutil
from engines.backends.eager_imports import skip_compiler
if sys.argv[2] == "eager":
    skip_compiler()
import torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(Path(sys.argv[1]), dtype=torch.float32)
model.generate(torch.tensor([[5, 6, 7]]), max_new_tokens=4, do_sample=False)
print(json.dumps([time.process_time(), psutil.Process().memory_info().rss]))
"""
KINDS = ("plain", "eager")
Figures = dict[str, tuple[float, float]]


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure both kinds of imports with the smallest checkpoint."""
    name, checkpoint = bench.smallest
    rounds = QuietRounds[Figures](bench.sizes)
    for _ in rounds:
        rounds.keep({kind: _process(checkpoint, kind) for kind in KINDS})
    columns = ("imports", "CPU s [range]", "RSS MB [range]")
    result = Result("imports", METHOD.format(rounds=bench.sizes.rounds), columns)
    for kind in KINDS:
        seconds = [one[kind][0] for one in rounds.best]
        megabytes = [one[kind][1] / 1e6 for one in rounds.best]
        result.rows.append((kind, spread(seconds, "{:.2f}".format), spread(megabytes, "{:.0f}".format)))
        result.figures[kind] = {"CPU s": seconds, "RSS MB": megabytes}
    saved = ratios(*([one[kind][0] for one in rounds.best] for kind in reversed(KINDS)))
    result.notes += [f"{name}: eager / plain CPU time {number(statistics.median(saved))}", rounds.summary()]
    return result


def _process(checkpoint: Path, kind: str) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(checkpoint), kind],
        check=True,
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )
    seconds, rss = json.loads(done.stdout)
    return seconds, rss
