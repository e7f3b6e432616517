"""From PyTorch over ONNX to TensorRT, in a real terminal, with the real builders and the demo checkpoint."""

from __future__ import annotations

import re

import pytest

from app.state.settings.settings import EngineChoice, Settings
from tests.e2e.conftest import StartApp
from tests.e2e.test_first_run import gone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
BUILD = ("engines", "build", "-m", "demo", "--engine", "tensorrt:fp16", "--for", "sm89")


def test_the_onnx_stage_is_built_chatted_with_and_compared(start: StartApp) -> None:
    settings = Settings(left=EngineChoice("onnxruntime", "int8"), right=EngineChoice("pytorch", "fp32"))
    terminal = start(width=160, height=48, settings=settings)
    terminal.wait_for("demo.*fits.*What Enter does.*build → load")
    terminal.keys("Enter")
    terminal.wait_for(r"ONNX Runtime int8.*PyTorch fp32.* ready ─╯╰─+ ready ─╯")
    terminal.type("What is a KV cache?")
    terminal.keys("Enter")
    terminal.wait_for(r"ONNX Runtime int8 is about [\d.]+× as fast as PyTorch fp32")
    terminal.keys("M-3")
    terminal.wait_for("KL")
    terminal.keys("C-q")
    terminal.wait_for_exit()
    assert terminal.exit_status == 0


def test_a_plan_for_an_rtx_40_is_cancelled_built_listed_and_inspected(start: StartApp) -> None:
    """Each command in a terminal of its own, with the home folder of the first one."""
    terminal = start(*BUILD)
    terminal.wait_for(r"Building engine")
    processes = terminal.processes()
    terminal.keys("C-c")
    terminal.wait_for(r"Cancelled\. Nothing was stored\.|Built in")
    terminal.wait_for_exit()
    assert gone(processes)
    terminal.start_again()
    screen = terminal.wait_for(r"(Built in|Already built).*TensorRT fp16 for sm89.*[0-9a-f]{20}")
    found = re.search(r"[0-9a-f]{20}", screen.replace("\n", ""))
    assert found
    identity = found.group()
    terminal.run("engines", "ls")
    assert "TensorRT fp16 for sm89" in terminal.wait_for(identity)
    terminal.run("engines", "inspect", identity)
    terminal.wait_for(r"layers\.\d+/mlp/gate +MatMul +fp16")
    terminal.run("ask", "Hi", "--engine", "tensorrt:fp16")
    terminal.wait_for(r"TensorRT runs on NVIDIA GPUs only\.")
