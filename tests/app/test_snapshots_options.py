"""Snapshots of Prepare with an engine that has options."""

from __future__ import annotations

import sys

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.state.prepare import machine_state
from app.state.prepare.machine_state import MachineState
from app.state.settings.settings import EngineChoice
from app.widgets.prepare import checkpoint_picker
from engines.demo import CHECKPOINT
from engines.environments import interpreters
from engines.environments.interpreters import Interpreter
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.hardware.hardware import Device
from tests.app import still
from tests.app.still import StillPlayground
from tests.app.test_snapshots import DARK, LARGE, LIGHT, SMALL, SnapCompare, compare

GIB = 1 << 30
GPUS = tuple(
    Device(f"cuda:{index}", "cuda", "NVIDIA H200", 140 * GIB, 139 * GIB, compute_capability=(9, 0))
    for index in range(2)
)


class SplitPlayground(StillPlayground):
    """An app with two GPUs and a TensorRT-LLM environment."""

    def __init__(self, theme: str) -> None:
        super().__init__(theme, chosen=False)
        self.gpu, self.gpus = GPUS[0], GPUS
        left = EngineChoice("tensorrt-llm", "int4-awq", calibration="~/texts/questions.jsonl", gpus=2)
        self.settings = replace(self.settings, left=left)
        interpreters.register("tensorrt-llm", Interpreter(sys.executable))

    async def find_interpreters(self) -> None:
        """Do nothing: the interpreter is registered already."""


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = read_checkpoint(CHECKPOINT)
    monkeypatch.setattr(interpreters, "_KNOWN", {})  # restored after the test
    monkeypatch.setattr(checkpoint_picker, "_read", lambda _: (demo, ""))
    monkeypatch.setattr(machine_state, "probe_machine", lambda device, _: MachineState(device, 40e9))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (LARGE, LIGHT)])
def test_prepare_with_options(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Calibration text and GPUs share one line, and everything else stays visible."""
    compare(snap_compare, size, still.settle, SplitPlayground(theme))


def test_calibration_text(snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requirements of the text are below the list, also in a small terminal."""
    monkeypatch.setenv("HOME", "/nowhere")

    async def before(pilot: Pilot[None]) -> None:
        await still.settle(pilot)
        await pilot.press("c")
        await pilot.pause(0.3)
        await still.settle(pilot)

    compare(snap_compare, SMALL, before, SplitPlayground(LIGHT))
