"""Progress of the preparation of one side's engine, as data that a widget can draw."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from app.units import bytes_of_text, seconds_text
from engines.build.prepare import PreparedEngine, Step
from engines.worker import protocol

LOG_LINES = 500


@dataclass
class BuildState:
    """Collects the steps that `Side.open` yields."""

    title: str
    """Title of the engine."""
    stages: list[str] = field(default_factory=list)
    """Stages seen so far; the last one is running."""
    position: tuple[int, int] = (0, 0)
    """Number of the running stage, and of all stages of its worker."""
    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None
    error: protocol.Error | None = None
    ready: protocol.Ready | None = None
    prepared: PreparedEngine | None = None
    cancelled: bool = False
    load_seconds: float | None = None
    """What loading this engine took the last time on this machine; None if it was never timed."""
    log: Path | None = None
    """Log of its worker."""
    _progress_began: tuple[float, float] | None = None
    """Monotonic seconds and `done` of the first progress of the running stage."""

    @property
    def is_fetching(self) -> bool:
        """Whether the running stage is the download."""
        return self.running and bool(self.stages) and self.stages[-1] == "fetch"

    @property
    def speed(self) -> float | None:
        """Units per second since the first progress of the running stage; None before the second one."""
        if self._progress_began is None:
            return None
        began, first = self._progress_began
        elapsed = time.monotonic() - began
        return (self.done - first) / elapsed if elapsed > 0 and self.done > first else None

    @property
    def seconds_left(self) -> float | None:
        """Of the running stage at its present speed; None where that is unknown."""
        speed = self.speed
        return (self.total - self.done) / speed if speed else None

    @property
    def cancelled_text(self) -> str:
        """What a cancelled opening has left; empty for any other."""
        if not self.cancelled:
            return ""
        if self.stages and self.stages[-1] == "fetch" and self.total:
            return f"Paused: {bytes_of_text(self.done, self.total)} are downloaded. Enter resumes."
        return f"{self.lines[-1].capitalize()}."

    @property
    def earlier_text(self) -> str:
        """`loaded in 12 s the last time`, while the engine is loaded; empty where that is unknown."""
        if self.prepared is None or self.prepared.loaded or self.load_seconds is None:
            return ""
        return f"loaded in {seconds_text(self.load_seconds)} the last time"

    @property
    def elapsed(self) -> float:
        """Seconds since the start, or until the end."""
        return (self.ended or time.monotonic()) - self.started

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.ended is None

    def take(self, step: Step) -> None:
        """Record a step."""
        match step:
            case protocol.Stage():
                self.stages.append(step.name)
                self.position = (step.index, step.of)
                self.done = self.total = 0.0
                self._progress_began = None
                self.lines.append(f"stage {step.index} of {step.of}: {step.name}")
            case protocol.Progress():
                self.done, self.total, self.unit = step.done, step.total, step.unit
                self._progress_began = self._progress_began or (time.monotonic(), step.done)
            case protocol.Log():
                self.lines.append(step.line)
            case PreparedEngine():
                self.prepared = step
            case protocol.Ready():
                self.ready = step
                loaded = "the process that built it keeps it loaded"
                self.lines.append(
                    f"ready: {loaded if step.handed_over else f'loaded in {step.load_seconds:.1f} s'}"
                )
                self.end()
            case protocol.Error():
                self.error = step
                self.lines.append("failed")  # the message has its card, and the traceback is in the log
                self.end()

    def cancel(self) -> None:
        """Record that the user cancelled it."""
        if self.running:
            self.cancelled = True
            self.lines.append("cancelled; partial files removed")
            self.end()

    def keep(self, reason: str) -> None:
        """Record that the running engine stays, and why."""
        self.cancelled = True
        self.lines.append(reason)
        self.end()

    def end(self) -> None:
        """Stop the clock."""
        self.ended = time.monotonic()
