"""Where a backend's prepare and load tell how far they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from engines.errors import EngineError
from engines.worker import protocol

PROGRESS_SECONDS = 0.05
"""A bar is drawn four to ten times a second; a backend may count every tensor."""

GAVE_UP = 70
"""Exit status of a worker that ended itself: EX_SOFTWARE of sysexits.h."""


class StageReport:
    """Turns a backend's reports into events."""

    def __init__(
        self, send: Callable[[protocol.Event], None], identity: int, stages: tuple[str, ...]
    ) -> None:
        self._send = send
        self._id = identity
        self._stages = stages
        self._sent = 0.0

    def stage(self, name: str) -> None:
        """A stage begins."""
        self._send(protocol.Stage(self._id, name, self._stages.index(name) + 1, len(self._stages)))

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """How far the current stage is."""
        now = time.monotonic()
        if done >= total or now - self._sent >= PROGRESS_SECONDS:
            self._sent = now
            self._send(protocol.Progress(self._id, float(done), float(total), unit))

    def log(self, line: str) -> None:
        """A line for the user's log view."""
        self._send(protocol.Log(self._id, line))

    def give_up(self, error: EngineError) -> None:
        """Tell why and end the process."""
        self._send(protocol.Error(self._id, error.code, error.message, error.hint))
        os._exit(GAVE_UP)


class WithinStage:
    """For loading within the smoke test: its stages are lines, as the stage stays the smoke test's."""

    def __init__(self, report: StageReport) -> None:
        self._report = report
        self.progress, self.log, self.give_up = report.progress, report.log, report.give_up

    def stage(self, name: str) -> None:
        """A stage begins."""
        self._report.log(f"smoke test: {name}")


class QuietReport:
    """Where nobody looks: only the log hears it."""

    def stage(self, name: str) -> None:
        """A stage begins."""

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """How far the current stage is."""

    def log(self, line: str) -> None:
        """A line for the log."""
        print(line)

    def give_up(self, error: EngineError) -> None:
        """Tell why in the log and end the process."""
        print(f"{error.message} {error.hint}", flush=True)
        os._exit(GAVE_UP)
