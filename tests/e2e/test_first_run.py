"""The first steps of a new user, in a real terminal, with real engines and the demo checkpoint."""

from __future__ import annotations

import os
import re
import signal
import time

import psutil
import pytest

from app.state.settings.settings import Settings
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
ANSWERED = r"OpenVINO int8 [\d.]+× PyTorch fp32"


def gone(processes: list[psutil.Process], seconds: float = 60.0) -> bool:
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
    """Choose int8 on the first screen, build, and wait until both engines are ready."""
    terminal.wait_for("Checkpoint.*INT8.*weights")
    terminal.keys("Up")
    terminal.wait_for("16-bit floats|BF16|SmoothQuant")
    terminal.keys("Down")
    terminal.wait_for("8-bit weights, one scale")
    terminal.keys("Enter")
    terminal.wait_for(both_ready(right) + r".*Ask both sides.*KV.*Send.*Regenerate")


def used_blocks(terminal: Terminal, at_least: int = 0) -> int:
    """Wait until the KV panel shows at least so many used blocks, and return their number."""
    deadline = time.monotonic() + 60.0
    while True:
        found = re.search(r"(\d+) of [\d,]+ blocks", terminal.wait_for(r"\d+ of [\d,]+ blocks"))
        assert found
        if (used := int(found.group(1))) >= at_least:
            return used
        assert time.monotonic() < deadline, f"the KV panel stays at {used} blocks"
        time.sleep(0.1)


def test_from_the_first_start_to_quitting(start: StartApp) -> None:
    """Choose int8, build, send two prompts, check answers and panels, quit."""
    terminal = start(width=160, height=48)
    build_defaults(terminal)
    before = used_blocks(terminal)
    terminal.type("What is a KV cache?")
    terminal.keys("Enter")
    screen = terminal.wait_for(ANSWERED)
    assert screen.count("TTFT") >= 2
    assert "in turn" in screen
    first = used_blocks(terminal, at_least=before + 1)
    terminal.type("Thank you!")
    terminal.keys("Enter")
    terminal.wait_for(r"Thank you!.*Thank you!.*" + ANSWERED)
    used_blocks(terminal, at_least=first)
    terminal.wait_for(r"[┫┃][^┃\n]*[⠁-⣿▀-▟]")  # a curve in the plot
    running = terminal.processes()
    assert len(running) == 3
    terminal.keys("C-q")
    terminal.wait_for_exit()
    assert gone(running)
    cache = terminal.folder / ".cache" / "trt-playground"
    assert not list((cache / "building").glob("*"))
    assert len(list((cache / "engines").glob("*/manifest.json"))) == 1


def test_the_second_start_opens_the_chat(start: StartApp) -> None:
    """Engines are loaded from the store, and the settings are kept."""
    terminal = start(settings=LIGHT)
    build_defaults(terminal, "OpenVINO int8")
    terminal.keys("C-q")
    terminal.wait_for_exit()
    terminal.start_again()
    terminal.wait_for("reused from the store")
    terminal.wait_for(both_ready("OpenVINO int8"))


def test_a_sigkill_of_the_app_leaves_no_orphan(start: StartApp) -> None:
    terminal = start(settings=LIGHT)
    build_defaults(terminal, "OpenVINO int8")
    workers = [process for process in terminal.processes() if process.pid != terminal.pid]
    assert len(workers) == 2
    os.kill(terminal.pid, signal.SIGKILL)
    assert gone(workers)


def test_a_worker_killed_while_answering(start: StartApp) -> None:
    """The failure card shows it, the other side answers, and a restart continues the conversation."""
    terminal = start()
    build_defaults(terminal)
    terminal.type("Tell me a story about a fox.")
    terminal.keys("Enter")
    terminal.wait_for("decode|prefill")
    workers = [process for process in terminal.processes() if process.pid != terminal.pid]
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
    terminal.wait_for("Checkpoint")
    terminal.keys("Enter")
    terminal.wait_for("Ask both sides.*")
    terminal.wait_for(" ready ─╯╰─+ ready ─╯.*Ask both sides.*Send.*Regenerate")
    terminal.type("Hello")
    terminal.keys("Enter")
    terminal.wait_for("×")
    terminal.resize(30, 8)
    terminal.wait_for(r"\A(?!.*Regenerate)")
    terminal.resize(80, 24)
    terminal.wait_for("Hello.*×")
