"""Progress of the preparation of one side's engine, as data that a widget can draw."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

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
                self.lines.append(f"stage {step.index} of {step.of}: {step.name}")
            case protocol.Progress():
                self.done, self.total, self.unit = step.done, step.total, step.unit
            case protocol.Log():
                self.lines.append(step.line)
            case PreparedEngine():
                self.prepared = step
            case protocol.Ready():
                self.ready = step
                self.lines.append(f"ready: loaded in {step.load_seconds:.1f} s")
                self.end()
            case protocol.Error():
                self.error = step
                self.lines.append(f"failed: {step.message} {step.hint}".rstrip())
                self.lines.extend(step.detail.splitlines()[-20:])
                self.end()

    def cancel(self) -> None:
        """Record that the user cancelled it."""
        if self.running:
            self.cancelled = True
            self.lines.append("cancelled; partial files removed")
            self.end()

    def end(self) -> None:
        """Stop the clock."""
        self.ended = time.monotonic()
