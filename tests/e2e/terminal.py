"""A real terminal: runs the app in tmux, sends keys and reads the screen."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGCHLD

import psutil
import pytest

from tests.runner.__main__ import THREADS
from tests.runner.mark import MARK


class Terminal:
    """A tmux server with one window, on its own socket."""

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
        environment |= {name: os.environ[name] for name in THREADS if name in os.environ}
        self._environment = ["env", "-i", *(f"{name}={value}" for name, value in environment.items())]
        size = ["-x", str(width), "-y", str(height)]
        argv = shlex.join([*self._environment, *command])
        self._tmux("-f", os.devnull, "new-session", "-d", *size, argv)
        self._tmux("set-option", "-g", "remain-on-exit", "on")

    def keys(self, *keys: str) -> None:
        """Press keys, given by their tmux names."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._tmux("send-keys", "-l", text)

    def paste(self, file: Path) -> None:
        """Paste the bytes of a file, as a terminal pastes its clipboard."""
        self._tmux("load-buffer", str(file))
        self._tmux("paste-buffer", "-p")

    @property
    def exit_status(self) -> int:
        """Exit status of the app, after `wait_for_exit`."""
        server = int(self._tmux("display-message", "-p", "#{pid}"))
        deadline = time.monotonic() + 200
        while not (status := self._tmux("display-message", "-p", "#{pane_dead_status}").strip()):
            signal = self._tmux("display-message", "-p", "#{pane_dead_signal}").strip()
            left = [process.cmdline() for process in self.processes()]
            assert time.monotonic() < deadline, f"no exit status; signal {signal!r}; still running: {left}"
            time.sleep(0.1)
            # tmux 3.3a sometimes misses the signal that its child has ended, and leaves it a zombie.
            os.kill(server, SIGCHLD)
        return int(status)

    @property
    def is_in_application_mode(self) -> bool:
        """Whether the alternate screen is shown, or the mouse is reported."""
        return "1" in self._tmux("display-message", "-p", "#{alternate_on}#{mouse_any_flag}")

    def screen(self) -> str:
        """Return the text on the screen; after the end of the app with what tmux's note has scrolled away."""
        shown = self._tmux("capture-pane", "-p")
        return self._tmux("capture-pane", "-p", "-S", "-") if "Pane is dead (" in shown else shown

    def wait_for(self, pattern: str, seconds: float = 240.0) -> str:
        """Wait until the screen matches a regular expression and return the screen.

        On a timeout the test fails with the last screen in its message.
        """
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if re.search(pattern, screen, re.DOTALL):
                return screen
            if time.monotonic() > deadline:
                pytest.fail(f"{pattern!r} did not appear in {seconds:.0f} s:\n{screen}", pytrace=False)
            time.sleep(0.1)

    def wait_for_exit(self, seconds: float = 200.0) -> None:
        """Wait until the app has exited."""
        deadline = time.monotonic() + seconds
        while self._tmux("display-message", "-p", "#{pane_dead}").strip() != "1":
            assert time.monotonic() < deadline, f"the app still runs:\n{self.screen()}"
            time.sleep(0.1)

    def start_again(self) -> None:
        """Run the same command again in the same home folder."""
        self._tmux("respawn-window", "-k")

    def run(self, *arguments: str) -> None:
        """Run another command of the app in the same home folder."""
        self._tmux("respawn-window", "-k", shlex.join([*self._environment, *playground(*arguments)]))

    def resize(self, width: int, height: int) -> None:
        """Resize the window."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    @property
    def pid(self) -> int:
        """Process id of the app."""
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def processes(self) -> list[psutil.Process]:
        """Return every process with this terminal's home folder: app, workers and their tokenizers."""
        return [process for process in psutil.process_iter() if _home(process) == str(self.folder)]

    def workers(self) -> list[psutil.Process]:
        """Return the workers of the app, without the tokenizers that are forked from them."""
        return [process for process in self.processes() if _parent_named(process) == process.ppid()]

    def close(self) -> None:
        """Kill the server and every process that still runs in it."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False, capture_output=True)
        for process in self.processes():
            process.kill()

    def _tmux(self, *argv: str) -> str:
        command = ["tmux", "-S", str(self._socket), *argv]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def playground(*arguments: str) -> list[str]:
    """Return the command line of the app."""
    return [str(Path(sys.executable).with_name("trt-playground")), *arguments]


def _parent_named(process: psutil.Process) -> int | None:
    """Return the process that started a worker, from its command line, which its forks share."""
    words = process.cmdline()
    return int(words[words.index("--parent") + 1]) if "--parent" in words else None


def _home(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("HOME")
    except psutil.Error:
        return None
