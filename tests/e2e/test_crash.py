"""Bytes that are not UTF-8, and an exception in the app, in a real terminal with real engines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.state.settings.paths import NAME
from app.state.settings.settings import save_settings
from tests.e2e.terminal import Terminal, playground
from tests.e2e.test_first_run import LIGHT, both_ready, gone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
SETTINGS = replace(LIGHT, chosen=True, welcomed=True)
READY = both_ready("OpenVINO int8")
BROKEN = """\
from app.cli.main import main
from app.screens.chat import ChatScreen

def fail(screen):
    secret = "a local variable"
    raise ValueError("no good")

ChatScreen.action_timing = fail
main()
"""


def test_an_exception_ends_the_app(tmp_path: Path) -> None:
    """A message instead of a traceback, exit status 1, a usable terminal, no workers, the draft kept.

    The draft has a byte that is not UTF-8: it is replaced, and the app takes the next key.
    """
    save_settings(tmp_path / ".config" / NAME / "settings.toml", SETTINGS)
    terminal = Terminal(tmp_path, [sys.executable, "-c", BROKEN])
    try:
        terminal.wait_for(READY)
        (tmp_path / "clipboard").write_bytes(b"caf\xe9 au lait")
        terminal.paste(tmp_path / "clipboard")
        terminal.wait_for("caf\ufffd au lait")
        terminal.type(" half a prompt")
        terminal.wait_for("caf\ufffd au lait half a prompt")
        running = terminal.processes()
        assert len(terminal.workers()) == 2
        terminal.keys("C-t")
        screen = terminal.wait_for("ended because of an error: ValueError: no good")
        terminal.wait_for_exit()
        assert "trt-playground --continue" in screen
        assert "Traceback" not in screen
        assert "secret" not in screen
        assert terminal.exit_status == 1
        assert not terminal.is_in_application_mode
        assert gone(running)
        [log] = tmp_path.rglob("crash-*.log")
        assert "no good" in log.read_text("utf-8")
    finally:
        terminal.close()
    _check_continues(tmp_path)


def _check_continues(home: Path) -> None:
    (home / "tmux").unlink(missing_ok=True)
    terminal = Terminal(home, playground("--continue"))
    try:
        terminal.wait_for("caf\ufffd au lait half a prompt")
    finally:
        terminal.close()


def test_the_exit_status_of_the_command(tmp_path: Path) -> None:
    """Also where the app cannot start its screen."""
    program = "from app.playground import Playground\nPlayground.on_mount = lambda app: 1 / 0\n" + BROKEN
    command = [sys.executable, "-c", program]
    environment = {"HOME": str(tmp_path), "TERM": "xterm-256color", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
