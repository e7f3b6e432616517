"""Snapshots of Prepare with an engine that has options."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.screens.calibration import CalibrationScreen
from app.state.models import catalogue
from app.state.models.named_model import NamedModel
from app.state.prepare import machine_state
from app.state.prepare.machine_state import MachineState
from app.state.settings.settings import EngineChoice
from app.widgets.models import model_picker
from engines.demo import CHECKPOINT
from engines.environments.interpreters import Interpreter, register
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.hardware.hardware import Device
from tests.app import still
from tests.app.driving import until_screen
from tests.app.still import StillPlayground
from tests.app.test_snapshots import DARK, LARGE, LIGHT, SMALL, SnapCompare, compare
from tests.engines.double_environment import registered

GIB = 1 << 30
GPUS = tuple(
    Device(f"cuda:{index}", "cuda", "NVIDIA H200", 140 * GIB, 139 * GIB, compute_capability=(9, 0))
    for index in range(2)
)
TENSORRT_LLM = Interpreter(sys.executable)


class SplitPlayground(StillPlayground):
    """An app with two GPUs and a TensorRT-LLM environment."""

    def __init__(self, theme: str) -> None:
        super().__init__(theme, chosen=False)
        self.gpu, self.gpus = GPUS[0], GPUS
        left = EngineChoice("tensorrt-llm", "int4-awq", calibration="~/texts/questions.jsonl", gpus=2)
        self.settings = replace(self.settings, left=left)
        register("tensorrt-llm", TENSORRT_LLM)  # the app has registered what its own folder has: nothing

    async def find_interpreters(self) -> None:
        """Do nothing: the interpreter is registered already."""


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    demo = read_checkpoint(CHECKPOINT)
    monkeypatch.setattr(model_picker, "named_model", lambda name: NamedModel(name, demo))
    monkeypatch.setattr(catalogue, "local_and_suggested", lambda _: still.MODELS)
    monkeypatch.setattr(machine_state, "probe_machine", lambda device, _: MachineState(device, 40e9))
    with registered("tensorrt-llm", TENSORRT_LLM):
        yield


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (LARGE, LIGHT)])
def test_prepare_with_options(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Calibration text and GPUs share one line, and everything else stays visible."""
    compare(snap_compare, size, still.settle, SplitPlayground(theme))


def test_calibration_text(snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requirements of the text are below the list, also in a small terminal."""
    monkeypatch.setenv("HOME", "/nowhere")

    async def before(pilot: Pilot[None]) -> None:
        await still.settle(pilot)
        pilot.app.screen.query_one("#engine-left .precisions").focus()
        await pilot.press("c")
        await until_screen(pilot, CalibrationScreen)
        await still.settle(pilot)

    compare(snap_compare, SMALL, before, SplitPlayground(LIGHT))
