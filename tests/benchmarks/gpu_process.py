"""A process with one loaded engine: JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


class EngineBehindPipe:
    """`python -m MODULE NAME …`: prints a line when it is loaded and answers each line with another."""

    def __init__(self, module: str, name: str, *arguments: str) -> None:
        self.name = name
        command = [sys.executable, "-m", module, name, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.loaded: dict[str, Any] = {}

    def wait(self) -> None:
        """Wait until the engine is loaded."""
        self.loaded = self._read()
        print(f"{self.name}: {self.loaded}", file=sys.stderr, flush=True)

    def ask(self, request: object) -> dict[str, Any]:
        """Send a request and return the reply.

        Raises:
            RuntimeError: the process has ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        raise RuntimeError(f"{self.name} exited with status {self._process.wait()}")
