"""What the PyTorch-based class prints while it starts, as stages: weights, autotuner, CUDA graphs.

Source: NVIDIA/TensorRT-LLM, `tensorrt_llm/_torch/pyexecutor/model_engine.py` and `_torch/autotuner.py`. The
lines are for people and may change: a stage that is not recognised is passed over, and nothing else.
"""

from __future__ import annotations

import re

from engines.backends.base import Report

STAGES = ("load", "autotune", "CUDA graphs")
"""In the order in which they begin."""
_BEGINS = {
    "autotune": re.compile(r"Autotuning process starts|Run autotuning warmup"),
    "CUDA graphs": re.compile(r"Creating CUDA graph instances for (\d+) batch sizes"),
}
_WEIGHTS = re.compile(r"Loading (?:bin |safetensors )?weights.*\|\s*(\d+)/(\d+)\s*\[")
_GRAPH = re.compile(r"Run generation.only CUDA graph warmup for batch size=(\d+)", re.IGNORECASE)


class StartLines:
    """Turns them into stages and progress, line by line."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._reached = 0
        self._graphs = self._captured = 0

    def begin(self) -> None:
        """The first stage needs no line."""
        self._report.stage(STAGES[0])

    def __call__(self, line: str) -> None:
        """Take a line of the log."""
        for stage, begins in _BEGINS.items():
            if found := begins.search(line):
                self._enter(stage, line)
                self._graphs = int(found[1]) if begins.groups else 0
        if self._reached == 0 and (found := _WEIGHTS.search(line)):
            self._report.progress(int(found[1]), int(found[2]), "files")
        elif self._graphs and (found := _GRAPH.search(line)):
            # Printed before each graph. A release that sizes its cache by a trial run captures twice.
            self._captured = min(self._captured + 1, self._graphs)
            self._report.progress(self._captured - 1, self._graphs, "graphs")

    def _enter(self, stage: str, line: str) -> None:
        """Forwards only: a trial run passes through the stages before the real one does."""
        self._report.log(line.strip())
        if STAGES.index(stage) > self._reached:
            self._reached = STAGES.index(stage)
            self._report.stage(stage)
