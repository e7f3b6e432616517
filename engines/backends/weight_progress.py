"""The progress of a graph builder: how many of a checkpoint's weights have been read."""

from __future__ import annotations

from collections.abc import Callable

from engines.backends.base import Report
from engines.plan.decoder.decoder import Decoder


def weight_progress(decoder: Decoder, report: Report) -> Callable[[int], None]:
    """Return what a WeightReader calls with the number of values that it has read."""
    total, done = sum(linear.inputs * linear.outputs for linear in decoder.linears), 0

    def read(elements: int) -> None:
        nonlocal done
        done = min(total, done + elements)
        report.progress(done, total, "parameters")

    return read
