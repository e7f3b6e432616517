"""A real terminal: tmux runs the app, keys go in, the screen comes out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.runner.mark import MARK


class Terminal:
    """One tmux server with one window, alone on its socket."""

    def __init__(self, folder: Path, command: list[str], width: int = 120, height: int = 36) -> None:
        if shutil.which("tmux") is None:
            if os.environ.get("CI"):
                pytest.fail("CI must have tmux: the end-to-end tests need it")
            pytest.skip("tmux is not installed")
        self.folder = folder
        self._socket = folder / "tmux"
        environment = {
            "HOME": str(folder), "TERM": "xterm-256color", "COLORTERM": "truecolor", "HF_HUB_OFFLINE": "1",
            "LANG": "C.UTF-8", "PATH": os.environ["PATH"], MARK: os.environ[MARK],
        }  # fmt: skip
        words = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command]
        size = ["-x", str(width), "-y", str(height)]
        self._tmux("-f", os.devnull, "new-session", "-d", *size, shlex.join(words))
        self._tmux("set-option", "-g", "remain-on-exit", "on")

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._tmux("send-keys", "-l", text)

    def screen(self) -> str:
        """What stands on the screen now."""
        return self._tmux("capture-pane", "-p")

    def wait_for(self, pattern: str, seconds: float = 240.0) -> str:
        """Wait until the screen matches a regular expression; returns the screen.

        Fails with the last screen, so that a test that breaks shows what a user would have seen.
        """
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if re.search(pattern, screen, re.DOTALL):
                return screen
            if time.monotonic() > deadline:
                pytest.fail(f"{pattern!r} did not appear in {seconds:.0f} s:\n{screen}", pytrace=False)
            time.sleep(0.1)

    def wait_for_exit(self, seconds: float = 60.0) -> None:
        """Wait until the app has ended by itself."""
        deadline = time.monotonic() + seconds
        while self._tmux("display-message", "-p", "#{pane_dead}").strip() != "1":
            assert time.monotonic() < deadline, f"the app still runs:\n{self.screen()}"
            time.sleep(0.1)

    def start_again(self) -> None:
        """Run the same command once more in the same home."""
        self._tmux("respawn-window", "-k")

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    @property
    def pid(self) -> int:
        """Process id of the app."""
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def processes(self) -> list[psutil.Process]:
        """Every process that was started with this terminal's home, the app and its workers."""
        return [process for process in psutil.process_iter() if _home(process) == str(self.folder)]

    def close(self) -> None:
        """End the server and whatever still runs in it."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False, capture_output=True)
        for process in self.processes():
            process.kill()

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self._socket), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def playground(*arguments: str) -> list[str]:
    """The command that a user types."""
    return [str(Path(sys.executable).with_name("trt-playground")), *arguments]


def _home(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("HOME")
    except psutil.Error:
        return None
