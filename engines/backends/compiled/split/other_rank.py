"""The process of one other rank, as the worker sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any

from engines.errors import EngineError

MODULE = "engines.backends.compiled.split"


class OtherRank:
    """A process that reads JSON lines. Its output goes to the worker's log."""

    def __init__(self, request: dict[str, Any]) -> None:
        """Start the process; `request` is its first line."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno(),
            text=True,
        )
        assert self._process.stdin
        self._input = self._process.stdin
        self.send(request)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def ended(self) -> EngineError:
        """The error for a process that ended by itself."""
        return EngineError(
            "rank-ended",
            f"Process {self._process.pid}, which holds a part of the model, has ended.",
            "Restart the engine; the log says why it ended.",
        )

    def send(self, line: dict[str, Any]) -> None:
        """Write a line.

        Raises:
            EngineError: `rank-ended`.
        """
        try:
            self._input.write(json.dumps(line) + "\n")
            self._input.flush()
        except OSError as error:
            raise self.ended from error

    def close_input(self) -> None:
        """End its input: it leaves the group and exits."""
        with suppress(OSError):
            self._input.close()

    def end(self, seconds: float) -> None:
        """Wait for the process, and kill it after `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
