"""Run an engine in a bare script: `python -m tests.benchmarks.bare SPEC DIRECTORY`.

The backend class is called directly, without app, worker or a pipe for tokens. Each line on stdin is a
request; the reply on stdout has its metrics.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from engines.backends.registry import backend_class
from engines.build.spec import EngineSpec
from engines.measure.timing import timing
from engines.worker.protocol import Sampling
from engines.worker.tokenizer import Tokenizer


class SilentReport:
    """A report that discards everything."""

    def stage(self, name: str) -> None:
        """Do nothing."""

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Do nothing."""

    def log(self, line: str) -> None:
        """Do nothing."""


def main() -> None:
    """Load the engine and answer requests until stdin ends."""
    spec = EngineSpec.from_json(json.loads(sys.argv[1]))
    checkpoint, directory = Path(spec.checkpoint), Path(sys.argv[2]) if sys.argv[2] else None
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # native libraries print
    tokenizer, backend = Tokenizer(checkpoint), backend_class(spec.backend)()
    backend.load(spec, checkpoint, directory, SilentReport())
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        prompt = tokenizer.prompt_ids([{"role": "user", "content": request["text"]}])
        sampling = Sampling(max_tokens=request["max_tokens"], ignore_eos=True)
        stamps: list[int] = []

        def emit(ids: object, stamps: list[int] = stamps) -> None:
            stamps.append(time.monotonic_ns())

        started = time.monotonic_ns()
        backend.generate(prompt, sampling, frozenset(), emit, lambda: False)
        figures = asdict(timing(started, stamps, len(prompt)))
        print(json.dumps({"prompt_tokens": len(prompt), **figures}), file=answers)
    with contextlib.suppress(BrokenPipeError):
        answers.close()
    os._exit(0)  # native libraries keep threads that can hang the interpreter's own exit


if __name__ == "__main__":
    main()
