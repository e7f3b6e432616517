"""The app on a pseudo-terminal, and a line into it: what benchmarks of the app hold in their hands."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from app.state.settings.settings import EngineChoice, Settings, TimingMode, save_settings
from tests.benchmarks.terminal import Terminal
from tests.benchmarks.workshop import BenchmarkError, Workshop

REPLY_SECONDS = 240.0
ENTER, ESCAPE, CLEAR, SWAP = "\r", "\x1b", "\x0c", "\x18"
Reply = dict[str, Any]


class MeasuredApp:
    """Drives the app by its keys and asks what cannot be seen on the screen."""

    def __init__(self, workshop: Workshop, settings: Settings, paced: bool = False) -> None:
        file = workshop.folder / "settings.toml"
        save_settings(file, settings)
        ours, theirs = socket.socketpair()
        ours.settimeout(REPLY_SECONDS)
        words = [sys.executable, "-m", "tests.benchmarks.inside", str(theirs.fileno()), str(file)]
        with theirs:
            self.terminal = Terminal(
                [*words, *(["paced"] if paced else [])], workshop.environment, (theirs.fileno(),)
            )
        self._line = ours.makefile("rw", encoding="utf-8")
        self.turns = 0
        """How many prompts were sent."""

    def call(self, name: str, **arguments: object) -> Any:
        """Ask something of the app.

        Raises:
            BenchmarkError: it fails, or the app is gone.
        """
        try:
            self._line.write(json.dumps({"name": name, **arguments}) + "\n")
            self._line.flush()
            line = self._line.readline()
        except OSError as error:
            line, reason = "", str(error)
        else:
            reason = "the app is gone"
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
        """Wait for the answers to what was sent: left, then right."""
        replies: list[Reply] = self.call("answered", turns=self.turns)
        return replies

    def ask(self, text: str) -> list[Reply]:
        """Send a prompt and wait."""
        self.send(text)
        return self.answers()

    def clear(self) -> None:
        """Forget the conversation."""
        self.terminal.press(CLEAR)
        self.call("cleared")
        self.turns = 0

    def close(self) -> list[str]:
        """Quit; returns what is still running of the app and its engines."""
        pids = [self.terminal.process.pid, *self.call("look")["engines"]]
        family = [process for pid in pids for process in _family(pid)]
        self.terminal.end()
        _, alive = psutil.wait_procs(family, timeout=2)
        return [str(process) for process in alive]


@contextlib.contextmanager
def running(
    workshop: Workshop,
    checkpoint: Path,
    left: str,
    right: str,
    mode: TimingMode = TimingMode.IN_TURN,
    paced: bool = False,
    context: int = 2048,
) -> Iterator[MeasuredApp]:
    """The app with both engines ready and every panel on; closed at the end, and nothing may be left."""
    settings = Settings(
        timing=mode,
        panels=True,
        checkpoint=str(checkpoint),
        context=context,
        chosen=True,
        left=_choice(left),
        right=_choice(right),
    )
    app = MeasuredApp(workshop, settings, paced)
    try:
        app.call("ready")
        yield app
    except BaseException:
        app.terminal.process.kill()  # its engines end with it
        raise
    if left_over := app.close():
        raise BenchmarkError(f"still running after the end: {left_over}")


def _choice(engine: str) -> EngineChoice:
    backend, _, precision = engine.partition(":")
    return EngineChoice(backend, precision)


def _family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
