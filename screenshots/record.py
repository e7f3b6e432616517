"""Record a short session of the real app with real engines: an asciinema cast, `asciinema play session.cast`.

The app runs on a pseudo-terminal of its own, keys are pressed as on a keyboard, and what it writes is kept
with the time at which it came.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

from app.state.conversation.conversation_file import read_conversation
from app.state.settings.paths import conversation_folder
from screenshots.browser import COMMAND, until

COLUMNS, ROWS = 100, 30
KEY_SECONDS = 0.04
LOOK_SECONDS = 2.5
ESCAPE, TAB, ENTER, TOGETHER, QUIT = "\x1b", "\t", "\r", "\x14", "\x11"
FULL_SCREEN = "\x1b[18~"
"""F7."""


class Recording:
    """A program on a terminal, and everything that it wrote."""

    def __init__(self, words: list[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._began = time.monotonic()
        self._events: list[tuple[float, bytes]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: str, pause: float = KEY_SECONDS) -> None:
        """Press one key after another."""
        for key in keys:
            self.write(key, pause)

    def write(self, key: str, pause: float) -> None:
        """Press one key, that may be several characters for the terminal."""
        os.write(self._master, key.encode())
        time.sleep(pause)

    def cast(self) -> str:
        """The recording in asciicast format 2: a header, then a line an event."""
        self._reader.join(10)
        header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "trt-playground"}
        rest, events = b"", []
        for moment, data in self._events:
            text, rest = _whole(rest + data)
            events.append((round(moment, 3), "o", text))
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in (header, *events)) + "\n"

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # the program has ended
                return
            self._events.append((time.monotonic() - self._began, data))


def _whole(data: bytes) -> tuple[str, bytes]:
    """Text, and the bytes at the end that are the beginning of a character."""
    for cut in range(min(4, len(data) + 1)):
        try:
            return data[: len(data) - cut].decode(), data[len(data) - cut :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""


def _answers() -> list[tuple[int, bool]]:
    """Turns of each side, and whether the last one has ended."""
    paths = list(conversation_folder().glob("*.jsonl"))
    sides = read_conversation(paths[0]).values() if paths else ()
    return [(len(side.turns), bool(side.turns and side.turns[-1].reason)) for side in sides]


def _answered(turns: int) -> Callable[[], bool]:
    return lambda: bool(_answers()) and all(seen == (turns, True) for seen in _answers())


def record_session(path: Path) -> None:
    """Ask in turn, ask together, look at a panel on the whole screen, and leave."""
    session = Recording([COMMAND, "-m", "demo"])
    time.sleep(LOOK_SECONDS)
    session.press("What is a KV cache?")

    def sent() -> bool:
        session.press(ENTER)
        return bool(_answers())

    until(sent, "the first answers")
    until(_answered(1), "the first answers")
    time.sleep(LOOK_SECONDS)
    session.press(TOGETHER)
    session.press("Tell me a story." + ENTER)
    until(_answered(2), "the second answers")
    time.sleep(LOOK_SECONDS)
    session.press(TAB, LOOK_SECONDS)
    session.write(FULL_SCREEN, LOOK_SECONDS)
    session.press(ESCAPE, LOOK_SECONDS)
    session.press(QUIT)
    session.process.wait(30)
    path.write_text(session.cast(), encoding="utf-8")
