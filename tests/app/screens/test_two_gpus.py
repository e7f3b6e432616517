"""Models on a machine with two GPUs: each side has its own, and another can be chosen."""

from __future__ import annotations

import sys

import pytest
from textual.pilot import Pilot
from textual.widgets import Select, Static

from app.screens.models import ModelsScreen
from app.state.prepare import bandwidth_cache
from app.state.settings.settings import EngineChoice, Settings
from app.widgets.models.model_picker import ModelPicker
from app.widgets.prepare.engine_pair import EnginePair
from app.widgets.prepare.engine_picker import EnginePicker
from engines.plan.hardware import placement
from engines.plan.hardware.hardware import Device
from tests.app.driving import playground, wait_until
from tests.doubles.nvml import Gpu, Memory, Nvml

LEFT, RIGHT = EngineChoice("compiled", "bf16"), EngineChoice("pytorch", "bf16")
CHOSEN = Settings(context=512, chosen=False, welcomed=True, left=LEFT, right=RIGHT)
FREE = (80 << 30, 20 << 30)
"""Bytes that are free on each."""


@pytest.fixture(autouse=True)
def _two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    total = 80 << 30
    gpus = tuple(
        Gpu(uuid=f"GPU-{n}", memory=Memory(total, free, total - free)) for n, free in enumerate(FREE)
    )
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus))
    monkeypatch.setattr(placement, "torch_sees_gpus", lambda: True)


def picker(pilot: Pilot[None], side: str) -> EnginePicker:
    return pilot.app.screen.query_one(f"#engine-{side}", EnginePicker)


def estimate(pilot: Pilot[None], side: str) -> str:
    return str(picker(pilot, side).query_one(".estimate", Static).content)


async def test_each_side_has_a_gpu_with_its_own_memory_and_bandwidth(monkeypatch: pytest.MonkeyPatch) -> None:
    app = playground(CHOSEN)
    measured: list[str] = []

    async def measure(device: Device) -> float:
        measured.append(device.name)
        return 3e12

    monkeypatch.setattr(bandwidth_cache, "measure_bandwidth", measure)
    async with app.run_test(size=(160, 48)) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await wait_until(pilot, lambda: app.screen.query_one(ModelPicker).checkpoint is not None)
        await wait_until(pilot, lambda: "of 80" in estimate(pilot, "left"))
        await wait_until(pilot, lambda: "of 20" in estimate(pilot, "right"))
        pair = app.screen.query_one(EnginePair)
        assert pair._other_side_bytes("right", pair._forecasts["right"]) == 0
        devices = [picker(pilot, side).query_one(".device", Select) for side in ("left", "right")]
        assert [one.value for one in devices] == ["cuda:0", "cuda:1"]
        assert all(one.display for one in devices)

        app.sampler.busy_percent = lambda *_: 0.0  # type: ignore[method-assign]
        pair.measure()
        await wait_until(pilot, lambda: measured == ["cuda:0", "cuda:1"])

        devices[0].value = "cuda:1"
        await wait_until(pilot, lambda: "of 20" in estimate(pilot, "left"))
        assert pair._other_side_bytes("right", pair._forecasts["right"]) > 0, "both on one"
        assert picker(pilot, "left").selection.choice == EngineChoice("compiled", "bf16", device="cuda:1")
        assert picker(pilot, "right").selection.choice == RIGHT, "its own: nothing to name"

        picker(pilot, "left").query_one(".backend", Select).value = "openvino"
        await wait_until(pilot, lambda: not devices[0].display)
        assert picker(pilot, "left").selection.choice.device == ""
        assert [device.name for device in app.devices] == ["cpu", "cuda:0", "cuda:1"]
