"""Send the stages and progress of a backend's prepare and load to the app."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from engines.errors import EngineError
from engines.worker import protocol

PROGRESS_SECONDS = 0.05
"""Shortest time between two progress events: a bar is drawn four to ten times a second, but a backend may
report every tensor."""

ABORT_STATUS = 70
"""Exit status of a worker that ended itself: EX_SOFTWARE of sysexits.h."""


class StageReport:
    """A `Report` (see `engines.backends.base`) that sends events.

    Args:
        send: Sends one event.
        command_id: The id of the command that is being served.
        stages: Names of all stages, in order.
    """

    def __init__(
        self, send: Callable[[protocol.Event], None], command_id: int, stages: tuple[str, ...]
    ) -> None:
        self._send = send
        self._id = command_id
        self._stages = stages
        self._sent = 0.0
        """When the last progress was sent, in seconds of the monotonic clock."""

    def stage(self, name: str) -> None:
        """Start a stage; `name` must be one of `stages`."""
        self._send(protocol.Stage(self._id, name, self._stages.index(name) + 1, len(self._stages)))

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Send the progress of the current stage, at most every PROGRESS_SECONDS."""
        now = time.monotonic()
        if done >= total or now - self._sent >= PROGRESS_SECONDS:
            self._sent = now
            self._send(protocol.Progress(self._id, float(done), float(total), unit))

    def log(self, line: str) -> None:
        """Send a line for the log shown to the user."""
        self._send(protocol.Log(self._id, line))

    def abort(self, error: EngineError) -> None:
        """Send the error and end the process."""
        self._send(protocol.Error(self._id, error.code, error.message, error.hint))
        os._exit(ABORT_STATUS)


class NestedReport:
    """The report of a load inside of another stage: its stages are only logged, not counted as stages."""

    def __init__(self, report: StageReport, within: str) -> None:
        self._report, self._within = report, within
        self.progress, self.log, self.abort = report.progress, report.log, report.abort

    def stage(self, name: str) -> None:
        """Log the name of the stage."""
        self._report.log(f"{self._within}: {name}")
