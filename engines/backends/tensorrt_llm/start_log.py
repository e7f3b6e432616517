"""Parse the log of the PyTorch-based class for the stages of its start: weights, autotuner, CUDA graphs.

Source: NVIDIA/TensorRT-LLM, `tensorrt_llm/_torch/pyexecutor/model_engine.py` and `_torch/autotuner.py`. The
format is not stable; a stage that is not recognised is only missing from the progress display.
"""

from __future__ import annotations

import re

from engines.backends.base import Report

STAGES = ("load", "autotune", "CUDA graphs")
"""Stages in their order."""
_BEGINS = {
    "autotune": re.compile(r"Autotuning process starts|Run autotuning warmup"),
    "CUDA graphs": re.compile(r"Creating CUDA graph instances for (\d+) batch sizes"),
}
_WEIGHTS = re.compile(r"Loading (?:bin |safetensors )?weights( in parallel)?.*\|\s*(\d+)/(\d+)\s*\[")
"""A progress bar: of files where they are read in parallel, else of modules."""
_GRAPH = re.compile(r"CUDA graph warmup(?: \([^)]*\))? for batch size=(\d+)", re.IGNORECASE)
"""With the kind of sampling in parentheses, where a release captures a graph for each."""


class StartLogParser:
    """Reports stages and progress of a start from its log lines."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._reached = 0
        self._graphs = self._captured = 0

    def begin(self) -> None:
        """Report the first stage, which has no log line."""
        self._report.stage(STAGES[0])

    def __call__(self, line: str) -> None:
        """Parse one line of the log."""
        for stage, begins in _BEGINS.items():
            if found := begins.search(line):
                self._enter(stage, line)
                self._graphs = int(found[1]) if begins.groups else 0
        if self._reached == 0 and (found := _WEIGHTS.search(line)):
            self._report.progress(int(found[2]), int(found[3]), "files" if found[1] else "modules")
        elif self._graphs and (found := _GRAPH.search(line)):
            # Printed before each graph. Releases that size their cache with a trial run capture twice.
            self._captured = min(self._captured + 1, self._graphs)
            self._report.progress(self._captured - 1, self._graphs, "graphs")

    def _enter(self, stage: str, line: str) -> None:
        """Report a later stage. Earlier ones are ignored: a trial run goes through the stages first."""
        self._report.log(line.strip())
        if STAGES.index(stage) > self._reached:
            self._reached = STAGES.index(stage)
            self._report.stage(stage)
