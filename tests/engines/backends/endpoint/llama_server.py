"""Run llama.cpp's server, which a wheel has, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SERVE = """
import sys, time
import xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.port = sys.argv[1], int(sys.argv[2])
slots = int(sys.argv[3])
parameters.n_ctx, parameters.n_parallel, parameters.cpuparams.n_threads = 1024 * slots, slots, 1
parameters.endpoint_metrics = True
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
time.sleep(100_000)
"""


class LlamaServer:
    """A llama.cpp server in a process of its own."""

    def __init__(self, model: Path, slots: int = 1) -> None:
        """Start it; `slots` is the number of requests that it runs at once, each with 1,024 tokens."""
        self._model, self._port, self._slots = model, 0, slots
        self.start()

    def start(self) -> None:
        """Start it, again on the same port."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self._model), str(self._port), str(self._slots)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout
        self.address = self._process.stdout.readline().strip()
        self._port = int(self.address.rpartition(":")[2])

    def kill(self) -> None:
        """End it as a crash does; nothing happens if it has ended."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()
