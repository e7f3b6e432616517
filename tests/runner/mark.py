"""The variable of the environment by which a run finds its processes: its identity, the runner, the test."""

from __future__ import annotations

import os

MARK = "TRT_PLAYGROUND_TESTS"


def runner_mark(run: str, runner: str) -> str:
    """What marks the processes of one runner of pytest-xdist."""
    return f"{run}/{runner}/"


def shared_mark() -> str:
    """What marks a process that several tests of this runner use."""
    return "/".join([*os.environ.get(MARK, "none/none").split("/")[:2], ""])
