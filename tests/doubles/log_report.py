"""A backend report that prints log lines and ignores stages and progress."""

from __future__ import annotations

from engines.errors import EngineError


class LogReport:
    """A `Report` (see `engines.backends.base`) for tests and benchmarks."""

    def stage(self, name: str) -> None:
        """Ignore the start of a stage."""

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Ignore progress."""

    def log(self, line: str) -> None:
        """Print a log line."""
        print(line)

    def abort(self, error: EngineError) -> None:
        """Raise the error."""
        raise error
