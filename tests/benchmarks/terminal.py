"""Run a process on a pseudo-terminal and read its output."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Sequence

from tests.benchmarks.environment import PROJECT, BenchmarkError

COLUMNS, ROWS = 160, 48
CONTROL = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[PX^_].*?\x1b\\|[@-Z\\-_])")
KEPT_BYTES = 200_000
EXIT_SECONDS = 20.0


def _take_terminal() -> None:
    """Make it the controlling terminal: the process then gets SIGHUP if the benchmark dies."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A pseudo-terminal of COLUMNS × ROWS with a process on it and a thread that reads its output."""

    def __init__(
        self, command: Sequence[str], environment: dict[str, str], descriptors: tuple[int, ...] = ()
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._kept = bytearray()
        self._came = threading.Condition()
        self.started_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=PROJECT,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_terminal,
            pass_fds=descriptors,
        )
        os.close(slave)
        threading.Thread(target=self._drain, daemon=True, name="terminal").start()

    def press(self, keys: str) -> int:
        """Write keys; return the monotonic time just before, in nanoseconds."""
        now = time.monotonic_ns()
        os.write(self._master, keys.encode())
        return now

    @property
    def text(self) -> str:
        """The last output, without control sequences."""
        with self._came:
            return CONTROL.sub(b"", bytes(self._kept)).decode(errors="replace")

    def wait_for(self, texts: Sequence[str], seconds: float = 30.0) -> int:
        """Wait until all texts have been printed; return the time of the last, in nanoseconds.

        Raises:
            BenchmarkError: a text is missing after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            with self._came:
                seen, now = len(self._kept), time.monotonic_ns()
            written = self.text
            missing = [text for text in texts if text not in written]
            if not missing:
                return now
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{missing} did not appear. Last output: {written[-2000:]}")
            with self._came:
                self._came.wait_for(lambda seen=seen: len(self._kept) != seen, timeout=0.1)  # type: ignore[misc]

    def end(self, keys: str = "\x11") -> None:
        """Press Ctrl+Q and wait for the process to end.

        Raises:
            BenchmarkError: it did not end within EXIT_SECONDS and was killed.
        """
        try:
            with contextlib.suppress(OSError):
                self.press(keys)
            self.process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise BenchmarkError(f"The process did not end. Last output: {self.text[-2000:]}") from error
        finally:
            os.close(self._master)

    def _drain(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:  # the process has ended
                return
            with self._came:
                self._kept += data
                if len(self._kept) > 2 * KEPT_BYTES:
                    del self._kept[:-KEPT_BYTES]
                self._came.notify_all()
