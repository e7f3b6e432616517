"""Record a short session of the real app as an asciinema cast: `asciinema play session.cast`.

The app runs on a pseudo-terminal; keys are written to it, and its output is recorded with time stamps.
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
from screenshots.browser import until
from screenshots.served import COMMAND

COLUMNS, ROWS = 100, 30
KEY_SECONDS = 0.04
PAUSE_SECONDS = 2.5
ESCAPE, TAB, ENTER, TOGETHER, QUIT = "\x1b", "\t", "\r", "\x14", "\x11"
FULL_SCREEN = "\x1b[18~"
"""F7."""


class Recording:
    """A process on a pseudo-terminal and its recorded output."""

    def __init__(self, command: list[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._began = time.monotonic()
        self._events: list[tuple[float, bytes]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: str, pause: float = KEY_SECONDS) -> None:
        """Press keys one by one."""
        for key in keys:
            self.write(key, pause)

    def write(self, key: str, pause: float) -> None:
        """Press one key, which may be an escape sequence of several characters."""
        os.write(self._master, key.encode())
        time.sleep(pause)

    def cast(self) -> str:
        """Return the recording in asciicast format 2: a header, then one line per event."""
        self._reader.join(10)
        header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "trt-playground"}
        rest, events = b"", []
        for moment, data in self._events:
            text, rest = _decode(rest + data)
            events.append((round(moment, 3), "o", text))
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in (header, *events)) + "\n"

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # the process has ended
                return
            self._events.append((time.monotonic() - self._began, data))


def _decode(data: bytes) -> tuple[str, bytes]:
    """Return the text of `data` and the trailing bytes of an incomplete character."""
    for cut in range(min(4, len(data) + 1)):
        try:
            return data[: len(data) - cut].decode(), data[len(data) - cut :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""


def _answers() -> list[tuple[int, bool]]:
    """Return for each side the number of turns and whether the last one is finished."""
    paths = list(conversation_folder().glob("*.jsonl"))
    sides = read_conversation(paths[0]).values() if paths else ()
    return [(len(side.turns), bool(side.turns and side.turns[-1].reason)) for side in sides]


def _answered(turns: int) -> Callable[[], bool]:
    return lambda: bool(_answers()) and all(seen == (turns, True) for seen in _answers())


def record_session(path: Path) -> None:
    """Ask in turn, ask together, show a panel full screen and quit."""
    session = Recording([COMMAND, "-m", "demo"])
    time.sleep(PAUSE_SECONDS)
    session.press("What is a KV cache?")

    def sent() -> bool:
        session.press(ENTER)
        return bool(_answers())

    until(sent, "the first answers")
    until(_answered(1), "the first answers")
    time.sleep(PAUSE_SECONDS)
    session.press(TOGETHER)
    session.press("Tell me a story." + ENTER)
    until(_answered(2), "the second answers")
    time.sleep(PAUSE_SECONDS)
    session.press(TAB, PAUSE_SECONDS)
    session.write(FULL_SCREEN, PAUSE_SECONDS)
    session.press(ESCAPE, PAUSE_SECONDS)
    session.press(QUIT)
    session.process.wait(30)
    path.write_text(session.cast(), encoding="utf-8")
