"""The first steps of a new user, in a real terminal, with real engines and the demo checkpoint."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from app.state.settings.settings import Settings
from engines.demo import CHECKPOINT
from tests.app.conftest import OPENVINO
from tests.e2e.conftest import StartApp
from tests.e2e.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def both_ready(right: str) -> str:
    """Return a pattern: titles in the upper borders of the panes, phases in the lower borders."""
    return rf"OpenVINO int8.*{right}.* ready ─╯╰─+ ready ─╯"


BOTH_READY = both_ready("PyTorch fp32")
LIGHT = Settings(left=OPENVINO, right=OPENVINO)
"""For tests in which any two engines do: PyTorch alone takes eight seconds to start."""
ANSWERED = r"OpenVINO int8 is about [\d.]+× as fast as PyTorch fp32"


def gone(processes: list[psutil.Process], seconds: float = 200.0) -> bool:
    """Return whether all processes end within `seconds`; a zombie not reaped by tmux counts as ended."""
    deadline = time.monotonic() + seconds
    while any(map(runs, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def runs(process: psutil.Process) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def build_defaults(terminal: Terminal, right: str = "PyTorch fp32") -> None:
    """Press Enter on the first screen, which builds the demo, and wait until both engines are ready."""
    terminal.wait_for("demo.*fits.*What Enter does.*build → load")
    terminal.keys("Enter")
    terminal.wait_for(both_ready(right) + r".*Ask both sides.*KV.*Send")


def used_tokens(terminal: Terminal, at_least: int = 0) -> int:
    """Wait until the KV panel shows at least so many tokens, and return their number."""
    deadline = time.monotonic() + 200
    while True:
        found = re.search(r"([\d,]+) of [\d,]+ tokens [<\d]", terminal.wait_for(r"\d of [\d,]+ tokens [<\d]"))
        assert found
        if (used := int(found.group(1).replace(",", ""))) >= at_least:
            return used
        assert time.monotonic() < deadline, f"the KV panel stays at {used} tokens"
        time.sleep(0.1)


def test_from_the_first_start_to_quitting(start: StartApp) -> None:
    """Choose int8, build, send two prompts, check answers and panels, quit."""
    terminal = start(width=160, height=48)
    build_defaults(terminal)
    terminal.type("What is a KV cache?")
    terminal.keys("Enter")
    screen = terminal.wait_for(ANSWERED)
    assert screen.count("TTFT") >= 2
    assert "in turn" in screen
    first = used_tokens(terminal, at_least=1)
    terminal.type("Thank you!")
    terminal.keys("Enter")
    terminal.wait_for(r"Thank you!.*Thank you!.*" + ANSWERED)
    used_tokens(terminal, at_least=first + 1)
    terminal.wait_for(r"[┫┃][^┃\n]*[⠁-⣿▀-▟]")  # a curve in the plot
    running = terminal.processes()
    assert len(terminal.workers()) == 2
    terminal.keys("C-q")
    terminal.wait_for_exit()
    assert gone(running)
    cache = terminal.folder / ".cache" / "trt-playground"
    assert not list((cache / "building").glob("*"))
    assert len(list((cache / "engines").glob("*/manifest.json"))) == 1


def test_a_local_model_is_two_keys_away(start: StartApp, tmp_path: Path) -> None:
    """A model folder in ~/models is listed after the demo."""
    shutil.copytree(CHECKPOINT, tmp_path / "models" / "mine")  # the home folder of the terminal
    terminal = start(settings=LIGHT)
    terminal.wait_for("demo.*mine.*fits.*What Enter does")
    terminal.keys("Down")
    terminal.wait_for("What Enter does.*build → load")
    terminal.keys("Enter")
    terminal.wait_for("mine.*" + both_ready("OpenVINO int8"))


def test_the_second_start_opens_the_chat_and_a_sigkill_leaves_no_orphan(start: StartApp) -> None:
    """Engines are loaded from the store, and the settings are kept; then the app is killed."""
    terminal = start(settings=LIGHT)
    build_defaults(terminal, "OpenVINO int8")
    terminal.keys("C-q")
    terminal.wait_for_exit()
    terminal.start_again()
    terminal.wait_for("reused from the store")
    terminal.wait_for(both_ready("OpenVINO int8"))
    others = [process for process in terminal.processes() if process.pid != terminal.pid]
    assert len(terminal.workers()) == 2
    os.kill(terminal.pid, signal.SIGKILL)
    assert gone(others)


def test_a_worker_killed_while_answering(start: StartApp) -> None:
    """The failure card shows it, the other side answers, and a restart continues the conversation."""
    terminal = start()
    build_defaults(terminal)
    terminal.type("Tell me a story about a fox.")
    terminal.keys("Enter")
    terminal.wait_for(r"(decode|prefill)[^│╯\n]*─╯")  # in the border of a side
    workers = terminal.workers()
    reference = next(worker for worker in workers if "pytorch" in worker.cmdline())
    reference.kill()
    terminal.wait_for("SIGKILL")
    terminal.wait_for("F9")
    terminal.wait_for("TTFT")
    terminal.keys("F9")
    terminal.wait_for(BOTH_READY)
    terminal.keys("C-r")
    terminal.wait_for(ANSWERED)


def test_small_terminal(start: StartApp) -> None:
    """80x24 from the first screen to an answer; then 30x8, and 80x24 again."""
    terminal = start(width=80, height=24, settings=LIGHT)
    terminal.wait_for("demo.*fits.*Enter: L build → load")
    terminal.keys("Enter")
    terminal.wait_for(" ready ─╯╰─+ ready ─╯.*Ask both sides.*Send")
    terminal.type("Hello")
    terminal.keys("Enter")
    terminal.wait_for("as fast as|slower than")
    terminal.resize(30, 8)
    terminal.wait_for(r"\A([^\n]{0,30}\n?){0,8}\Z")
    terminal.resize(80, 24)
    terminal.wait_for("Hello.*(as fast as|slower than)")
