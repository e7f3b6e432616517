"""No byte from the terminal ends the app: through Textual's own driver, in a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import select
import subprocess
import sys
from pathlib import Path

import pytest
from textual import events
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.drivers.web_driver import WebDriver

from app.terminal_input import TolerantParser, replacing_decoder, tolerant

ECHO = """\
import sys
from pathlib import Path
from app.guarded_app import GuardedApp

class Echo(GuardedApp):
    received, number = "", 0

    def on_ready(self):
        Path(sys.argv[1], "0").touch()

    def on_paste(self, event):
        self.received += event.text

    def on_key(self, event):
        self.received += event.character or f"<{event.key}>"
        if self.received.endswith("END"):
            self.number += 1
            part = Path(sys.argv[1], "part")
            part.write_text(self.received, "utf-8")
            part.rename(Path(sys.argv[1], str(self.number)))
            self.received = ""
        elif self.received.endswith("QUIT"):
            self.exit()

app = Echo()
app.run()
sys.exit(app.return_code)
"""
PROJECT = Path(__file__).parents[2]
PASTE = b"\x1b[200~%s\x1b[201~"
INPUTS = {
    "latin-1": (PASTE % b"caf\xe9 ", "caf\ufffd "),
    "typed latin-1": (b"\xe9\xe9", "\ufffd"),
    "never in UTF-8": (PASTE % b"\xff\xfe\xc0\x80", "\ufffd"),
    "a surrogate": (PASTE % b"\xed\xa0\x80", "\ufffd"),
    "cut in the middle": (PASTE % "界".encode()[:2], "\ufffd"),
    "more than Unicode has": (PASTE % b"\xf4\x90\x80\x80", "\ufffd"),
    "UTF-16": (PASTE % "hé".encode("utf-16"), "h"),
    "key with an event type": (b"\x1b[97;5:1u", ""),
    "key with alternates": (b"\x1b[97:65;2;65u", ""),
    "key of a surrogate": (b"\x1b[55296u", ""),
    "key past Unicode": (b"\x1b[99999999999u", ""),
    "function key with an event type": (b"\x1b[1;1:3P", ""),
    "mouse at a far place": (b"\x1b[<0;99999999999;99999999999M", ""),
    "mouse after a screen without pixels": (b"\x1b[48;24;80;0;0t\x1b[<0;1;1M\x1b[<0;1;1m", ""),
    "a terminal of any size": (b"\x1b[48;99999999;99999999;1;1t", ""),
    "a terminal without cells": (b"\x1b[48;0;0;0;0t", ""),
    "Alt+Enter": (b"\x1b\r", "<alt+enter>"),
    "Alt+1": (b"\x1b1", "<alt+1>"),
    "Alt+L": (b"\x1bl", "<alt+l>"),
    "Shift+Enter of xterm and tmux": (b"\x1b[27;2;13~", "<shift+enter>"),
    "Alt+Enter of kitty": (b"\x1b[13;3u", "<alt+enter>"),
    "Ctrl+S": (b"\x13", "\x13"),
}


def test_any_bytes_in_a_terminal(tmp_path: Path) -> None:
    """The app goes on to the keys that follow. It fails if a new Textual reads in another place."""
    main, other = pty.openpty()
    command = [sys.executable, "-c", ECHO, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=environment) as app:
        os.close(other)
        try:
            for number, (name, (sent, expected)) in enumerate(INPUTS.items(), 1):
                _until(tmp_path / str(number - 1), main, app)
                os.write(main, sent + b"\x1b[0mEND")
                received = _until(tmp_path / str(number), main, app).read_text("utf-8")
                assert expected in received, name
            os.write(main, b"QUIT")
            _until(None, main, app)
        finally:
            app.kill()
    assert app.returncode == 0


def _until(path: Path | None, terminal: int, app: subprocess.Popen[bytes]) -> Path:
    """Read what the app draws until a file is there; with None, until the app ends."""
    drawn = b""
    while app.poll() is None and not (path and path.exists()):
        if select.select([terminal], [], [], 0.05)[0]:
            with contextlib.suppress(OSError):  # the other end is closed
                drawn += os.read(terminal, 65_536)
    assert path is None or path.exists(), f"the app has ended: {drawn[-2000:].decode(errors='replace')}"
    return path or Path()


PIECES = (
    "\x1b", "\x1b[", "\x1b[<", "\x1b[M", "\x1b[?", "\x1b[200~", "\x1b[201~", "\x1b[I", "\x1b[48;", "\x1b[1;5",
    "\x1bO", "\x1b]", "\x07", "\x9b", "\x00", "<", "M", "m", ";", ":", "0", "1", "35", "97", "9" * 21,
    "55296", "٣", "²", "-", "t", "u", "~", "R", "P", "$y", "a", "é", "\ufffd", " ",
)  # fmt: skip


def test_any_escape_sequence() -> None:
    """Random ones; those of the original that raise are among them."""
    failed = 0
    for seed in range(3_000):
        chosen = random.Random(seed)
        text = "".join(chosen.choice(PIECES) for _ in range(chosen.randint(1, 12)))
        failed += _raises(XTermParser(), text)
        assert not _raises(TolerantParser(), text), repr(text)
    assert failed, "Textual's parser raises no longer: TolerantParser may be superfluous"


def _raises(parser: XTermParser, text: str) -> bool:
    try:
        for message in (*parser.feed(text), *parser.tick(), *parser.feed("x")):
            if isinstance(message, events.Key):
                (message.character or "").encode()
    except Exception:
        return True
    return False


@pytest.mark.parametrize("driver", [LinuxDriver, WebDriver])
def test_the_places_are_there(driver: type[Driver]) -> None:
    """Also in the driver of `trt-playground serve`."""
    names = vars(sys.modules[tolerant(driver).__module__])
    assert names["XTermParser"] is TolerantParser
    assert names["getincrementaldecoder"] is replacing_decoder
