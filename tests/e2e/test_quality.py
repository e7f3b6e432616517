"""Quality in a real terminal: measured, killed with SIGKILL, continued, cancelled and exported."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.state.settings.settings import EngineChoice
from tests.e2e.conftest import StartApp
from tests.e2e.test_first_run import LIGHT, gone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
SETTINGS = replace(LIGHT, right=EngineChoice("openvino", "int4"), chosen=True, welcomed=True)
MEASURED_SECONDS = 600.0
"""60 questions to an eager PyTorch engine take two minutes on an idle machine."""


def test_a_killed_measurement_keeps_its_rows_and_continues(start: StartApp, tiny: Path) -> None:
    """At most the engine that was being measured is measured again."""
    terminal = start(width=160, height=48, settings=replace(SETTINGS, checkpoint=str(tiny)))
    terminal.wait_for(r"OpenVINO int8.*OpenVINO int4.* ready ─╯╰─+ ready ─╯")
    terminal.keys("F10")
    terminal.wait_for(r"0 of \d+ engines measured")
    terminal.keys("m")
    terminal.wait_for(r"● PyTorch fp32", MEASURED_SECONDS)
    others = [process for process in terminal.processes() if process.pid != terminal.pid]
    os.kill(terminal.pid, signal.SIGKILL)
    assert gone(others)

    terminal.start_again()
    terminal.wait_for(r" ready ─╯╰─+ ready ─╯")
    terminal.keys("F10")
    terminal.wait_for(r"● PyTorch fp32.*[1-9] of \d+ engines measured")
    terminal.keys("m")
    terminal.wait_for(r"● PyTorch bf16", MEASURED_SECONDS)
    terminal.keys("Escape")
    terminal.wait_for("Cancelled")
    terminal.keys("e")
    terminal.wait_for("Written: comparison.html")
    [saved] = terminal.folder.rglob("comparison.json")
    rows = {row["title"]: row for row in json.loads(saved.read_text("utf-8"))["rows"]}
    assert 0 < rows["PyTorch bf16"]["quality"]["mean_kld"] < 0.1
    terminal.keys("Escape")
    terminal.wait_for(r" ready ─╯╰─+ ready ─╯")
    terminal.keys("C-q")
    terminal.wait_for_exit()
    assert terminal.exit_status == 0
