"""`trt-playground compare`, killed and interrupted: what was finished is kept, and the result is the same."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.state.settings.paths import NAME
from engines.compare.comparison import Comparison, load_comparison
from tests.e2e.terminal import playground
from tests.e2e.test_first_run import gone
from tests.runner.__main__ import THREADS
from tests.runner.mark import MARK

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
ENGINES = ("openvino:int8", "openvino:int4", "openvino:bf16")
TEXT = "The KV cache grows with every token of the conversation. " * 4
CONTEXT = "256"
"""Tokens: the longest of the questions takes fewer."""


def start(home: Path, checkpoint: Path) -> subprocess.Popen[str]:
    """Compare three engines of a small checkpoint with OpenVINO fp32, over a short text."""
    environment = {
        "HOME": str(home), "HF_HUB_OFFLINE": "1", "PATH": os.environ["PATH"], MARK: os.environ[MARK],
    }  # fmt: skip
    environment |= {name: os.environ[name] for name in THREADS if name in os.environ}
    home.mkdir(exist_ok=True)
    text = home / "own.txt"
    text.write_text(TEXT, "utf-8")
    options = {"--checkpoint": checkpoint, "--text": text, "--context": CONTEXT, "--out": home / "report"}
    words = [str(word) for option in options.items() for word in option]
    command = playground("compare", *ENGINES, "--reference", "openvino:fp32", *words)
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str], home: Path) -> Comparison:
    """Wait for the end, and return what was written."""
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    return load_comparison(home / "report" / "comparison.json")


def wait_for_rows(process: subprocess.Popen[str], home: Path, count: int) -> None:
    """Wait until this number of rows is kept, the reference's included."""
    rows = home / ".cache" / NAME / "comparisons" / "rows"
    deadline = time.monotonic() + 400
    while len(list(rows.glob("*.json"))) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def figures(comparison: Comparison) -> list[dict[str, Any]]:
    """Return what does not depend on the time: quality and answers to the questions."""
    return [{"title": one.title, "quality": one.quality, "choices": one.choices} for one in comparison.rows]


def test_killed_and_interrupted(tmp_path: Path, tiny: Path) -> None:
    """SIGKILL costs the row in progress at most and leaves no worker; Ctrl+C says how to go on."""
    undisturbed = finish(start(tmp_path / "one", tiny), tmp_path / "one")
    home = tmp_path / "two"
    killed = start(home, tiny)
    wait_for_rows(killed, home, 2)
    workers = psutil.Process(killed.pid).children(recursive=True)
    killed.kill()
    killed.communicate()
    assert gone(workers)
    interrupted = start(home, tiny)
    wait_for_rows(interrupted, home, 3)
    workers = psutil.Process(interrupted.pid).children(recursive=True)
    interrupted.send_signal(signal.SIGINT)
    output, _ = interrupted.communicate(timeout=100)
    if interrupted.returncode:  # unless it was faster
        assert "the same command continues with the next" in output
    assert gone(workers)
    assert figures(finish(start(home, tiny), home)) == figures(undisturbed)
