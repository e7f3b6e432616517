"""Print the steps of an engine's preparation."""

from __future__ import annotations

from app.cli.output import echo
from engines.build.prepare import Step
from engines.worker import protocol


def print_step(step: Step | None) -> None:
    """Print a stage or a log line on stderr; other steps print nothing."""
    if isinstance(step, protocol.Stage):
        echo(f"{step.name} ({step.index} of {step.of})", err=True)
    elif isinstance(step, protocol.Log):
        echo(step.line, err=True)
