"""A running `trt-playground serve`, for the screenshot of the browser and for tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import psutil

from engines.worker.process_tree import runs

COMMAND = str(Path(sys.executable).with_name("trt-playground"))


@dataclass(frozen=True)
class Served:
    """A running server."""

    process: psutil.Process
    url: str
    """Opens the app: with the token."""

    @property
    def origin(self) -> str:
        """The URL without path and token."""
        return self.url.partition("/?")[0].rstrip("/")

    def apps(self) -> list[psutil.Process]:
        """Return the apps: one for each open tab."""
        return list(filter(runs, self.process.children()))


def until(condition: Callable[[], bool], what: str, seconds: float = 200) -> None:
    """Wait until `condition` is true.

    Raises:
        TimeoutError: it was still false after `seconds`; the message names `what`.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"timed out waiting for {what}")
        time.sleep(0.1)


@contextmanager
def served(*options: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Serve the demo checkpoint on a free port of 127.0.0.1.

    Args:
        options: further options of the command.
        environment: further variables.

    Raises:
        TimeoutError: the server does not print its address.
    """
    command = [COMMAND, "serve", "--port", "0", "-m", "demo", *options]
    with TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, env=os.environ | dict(environment or {}))

        def address() -> str:
            # The offset is shared with the server, which writes at it.
            text = os.pread(output.fileno(), 4096, 0).decode()
            return "".join(re.findall(r"http://\S+(?=\n)", text)[:1])

        try:
            until(lambda: bool(address()) or process.poll() is not None, "the server's address")
            yield Served(psutil.Process(process.pid), address())
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
