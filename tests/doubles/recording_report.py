"""A backend report that records everything."""

from __future__ import annotations

from engines.errors import EngineError


class RecordingReport:
    """A `Report` (see `engines.backends.base`) for tests that look at what was reported."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.lines: list[str] = []
        self.progresses: list[tuple[float, float, str]] = []

    def stage(self, name: str) -> None:
        """Record the start of a stage."""
        self.stages.append(name)

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Record progress."""
        self.progresses.append((done, total, unit))

    def log(self, line: str) -> None:
        """Record a log line."""
        self.lines.append(line)

    def abort(self, error: EngineError) -> None:
        """Raise the error."""
        raise error
