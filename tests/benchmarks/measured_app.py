"""Start the app on a pseudo-terminal with a control socket, and drive it."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from app.state.settings.settings import EngineChoice, Server, Settings, TimingMode, save_settings
from engines.build.server import REMOTE, SERVED
from tests.benchmarks.environment import BenchmarkEnvironment, BenchmarkError
from tests.benchmarks.terminal import Terminal

REPLY_SECONDS = 240.0
ENTER, ESCAPE, CLEAR, SWAP, F5 = "\r", "\x1b", "\x0e", "\x18", "\x1b[15~"
Reply = dict[str, Any]


class MeasuredApp:
    """Drives the app with keys, and sends requests for what is not on the screen."""

    def __init__(self, bench: BenchmarkEnvironment, settings: Settings, paced: bool = False) -> None:
        file = bench.folder / "settings.toml"
        save_settings(file, settings)
        ours, theirs = socket.socketpair()
        ours.settimeout(REPLY_SECONDS)
        command = [sys.executable, "-m", "tests.benchmarks.inside", str(theirs.fileno()), str(file)]
        with theirs:
            self.terminal = Terminal(
                [*command, *(["paced"] if paced else [])], bench.environment, (theirs.fileno(),)
            )
        self._channel = ours.makefile("rw", encoding="utf-8")
        self.turns = 0
        """Number of prompts sent."""

    def call(self, name: str, **arguments: object) -> Any:
        """Send a request to the app and return the reply.

        Raises:
            BenchmarkError: the request fails, or the app has ended.
        """
        try:
            self._channel.write(json.dumps({"name": name, **arguments}) + "\n")
            self._channel.flush()
            line = self._channel.readline()
        except OSError as error:
            line, reason = "", str(error)
        else:
            reason = "the app has ended"
        if not line:
            raise BenchmarkError(f"{name}: {reason}. The terminal: {self.terminal.text[-3000:]}")
        reply = json.loads(line)
        if "error" in reply:
            raise BenchmarkError(f"{name}: {reply['error']}")
        return reply["reply"]

    def send(self, text: str) -> None:
        """Send a prompt: Enter is pressed on the terminal."""
        self.call("write", text=text)
        self.turns += 1
        self.terminal.press(ENTER)

    def answers(self) -> list[Reply]:
        """Wait until all prompts are answered; return the metrics of the last answers, left then right."""
        replies: list[Reply] = self.call("answered", turns=self.turns)
        return replies

    def ask(self, text: str) -> list[Reply]:
        """Send a prompt and wait for the answers."""
        self.send(text)
        return self.answers()

    def clear(self) -> None:
        """Clear the conversation."""
        self.terminal.press(CLEAR)
        self.call("cleared")
        self.turns = 0

    def close(self) -> list[str]:
        """Quit the app; return its processes and engines that are still running after 2 s."""
        pids = [self.terminal.process.pid, *self.call("state")["engines"]]
        processes = [process for pid in pids for process in _process_tree(pid)]
        self.terminal.end()
        _, alive = psutil.wait_procs(processes, timeout=2)
        return [str(process) for process in alive]


@contextlib.contextmanager
def running(
    bench: BenchmarkEnvironment,
    checkpoint: Path,
    left: str,
    right: str,
    mode: TimingMode = TimingMode.IN_TURN,
    paced: bool = False,
    context: int = 2048,
) -> Iterator[MeasuredApp]:
    """Start the app with both engines ready and every panel on; quit it at the end.

    Raises:
        BenchmarkError: a process is still running after the app has quit.
    """
    settings = Settings(
        timing=mode,
        panels=True,
        checkpoint=str(checkpoint),
        context=context,
        chosen=True,
        left=_choice(left),
        right=_choice(right),
    )
    app = MeasuredApp(bench, settings, paced)
    try:
        app.call("ready")
        yield app
    except BaseException:
        app.terminal.process.kill()  # its engines end with it
        raise
    if left_over := app.close():
        raise BenchmarkError(f"still running after the end: {left_over}")


def _choice(engine: str) -> EngineChoice:
    backend, _, rest = engine.partition(":")
    if backend == REMOTE:
        return EngineChoice(REMOTE, SERVED, server=Server(rest))
    return EngineChoice(backend, rest)


def _process_tree(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
