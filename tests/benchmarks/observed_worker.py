"""The worker of OpenVINO with an observer between it and the library, which stamps tokens with its own clock.

`python -m tests.benchmarks.observed_worker FILE` is the real worker. When it opens another pipeline,
as after a load test, FILE gets the stamps of the one before.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import openvino_genai as genai

from tests.doubles.interpreter_script import run_worker


class ObservedPipeline(genai.ContinuousBatchingPipeline):  # type: ignore[misc]  # it has no types
    """The library's pipeline, which notes when each request enters it and which step yielded each token."""

    seen: Path
    """The file."""
    stamps: list[list[float]] = []  # noqa: RUF012  # of the newest pipeline: there is one at a time
    """For each request the seconds of its arrival, and then of each of its tokens."""

    def __init__(self, *arguments: Any) -> None:
        self.seen.write_text(json.dumps(self.stamps), "utf-8")
        self.stamps.clear()
        self.stepped = 0.0
        """When the last step ended."""
        super().__init__(*arguments)

    def add_request(self, *arguments: Any) -> Any:
        """Add a request, and return its handle."""
        stamps = [time.perf_counter()]
        self.stamps.append(stamps)
        return ObservedHandle(super().add_request(*arguments), self, stamps)

    def step(self) -> None:
        """Run a step, and note its end."""
        super().step()
        self.stepped = time.perf_counter()


class ObservedHandle:
    """The library's handle of a request."""

    def __init__(self, handle: Any, pipeline: ObservedPipeline, stamps: list[float]) -> None:
        self._handle, self._pipeline, self._stamps = handle, pipeline, stamps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)

    def read(self) -> Any:
        """Return the next outputs, and note the step that yielded them."""
        outputs = self._handle.read()
        for output in outputs.values():
            self._stamps += [self._pipeline.stepped] * len(output.generated_ids)
        return outputs


if __name__ == "__main__":
    ObservedPipeline.seen = Path(sys.argv[1])
    genai.ContinuousBatchingPipeline = ObservedPipeline
    run_worker()
