"""Prepare: estimates, precision of the KV cache, memory bandwidth, and the Backend support screen."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Select, Static

from app.cli import doctor
from app.screens.models import ModelsScreen
from app.screens.support import SupportScreen
from app.state.prepare import bandwidth_cache as bandwidths
from app.state.prepare import machine_state
from app.state.prepare.bandwidth_cache import read_bandwidth
from app.state.prepare.machine_state import MachineState, probe_machine
from app.state.settings.settings import EngineChoice, Settings
from app.widgets.prepare.engine_pair import EnginePair
from app.widgets.prepare.engine_picker import EnginePicker
from engines.backends.registry import LOCAL
from engines.build.store import EngineStore
from engines.plan.hardware import placement
from engines.plan.hardware.hardware import Device, cpu
from engines.plan.hardware.placement import device_of
from engines.plan.precision import PRECISIONS
from tests.app.driving import playground, toasts, until_chat, until_ready, wait_until
from tests.app.screens.preparing import estimate, open_prepare
from tests.doubles.nvml import Gpu, Nvml

MIB = 1 << 20


async def test_the_kv_cache_is_stored_as_chosen(settings: Settings) -> None:
    """The estimate, the settings and the loaded engine use the chosen KV precision."""
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 48)) as pilot:
        screen = await open_prepare(pilot)
        assert "KV cache, u8" in estimate(pilot)
        screen.query_one("#engine-left .kv", Select).value = "f32"
        await wait_until(pilot, lambda: "KV cache, f32" in estimate(pilot))
        await pilot.press("enter")
        await until_ready(pilot)
        await until_chat(pilot)
        assert app.settings.left == EngineChoice("openvino", "int8", "f32")
        assert app.left.spec is not None
        assert app.left.spec.kv_precision == "f32"


async def test_an_unsupported_kv_precision_becomes_auto(settings: Settings) -> None:
    app = playground(replace(settings, chosen=False, left=EngineChoice("openvino", "int8", "f32")))
    async with app.run_test(size=(120, 48)) as pilot:
        screen = await open_prepare(pilot)
        picker = screen.query_one("#engine-left", EnginePicker)
        assert picker.selection.kv_precision == "f32"
        options = picker.query_one(".precisions")
        options.highlighted = options.get_option_index("bf16")  # type: ignore[attr-defined]
        await wait_until(pilot, lambda: picker.selection.precision == "bf16")
        assert picker.selection.kv_precision == "auto"
        picker.query_one(".backend", Select).value = "pytorch"
        await wait_until(pilot, lambda: "no build needed" in estimate(pilot))
        assert picker.selection.choice.kv_precision == "auto"


async def test_too_little_memory_is_reported_before_a_build(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context window that is too long for the memory, with a shorter one as the advice."""

    def small_machine(device: Device, store: EngineStore) -> MachineState:
        return MachineState(Device("cpu", "cpu", "A processor", 1024 * MIB, 1024 * MIB, cores=2))

    monkeypatch.setattr(machine_state, "probe_machine", small_machine)
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 48)) as pilot:
        screen = await open_prepare(pilot)
        await wait_until(pilot, lambda: "1.00 GiB free" in estimate(pilot))
        assert "✓ fits" in estimate(pilot)
        screen.query_one("#context", Input).value = "9000000"
        await wait_until(pilot, lambda: "does not fit" in estimate(pilot))
        assert "KV cache takes" in estimate(pilot)
        assert "shorter context" in estimate(pilot)


async def test_the_estimate_is_compared_with_the_loaded_engine(settings: Settings) -> None:
    app = playground(settings)
    async with app.run_test(size=(120, 48)) as pilot:
        await until_ready(pilot)
        await pilot.press("f2")
        await open_prepare(pilot)
        await wait_until(pilot, lambda: "loaded" in estimate(pilot))
        assert "about" in estimate(pilot)  # the time of the build that just ended
        pilot.app.screen.query_one("#context", Input).value = "128"
        await wait_until(pilot, lambda: "loaded" not in estimate(pilot))  # another engine would be needed


async def press_f5(pilot: Pilot[None]) -> None:
    """Press F5 twice: other tests keep the machine busy, and then the first press is refused."""
    await pilot.press("f5", "f5")


async def test_a_model_in_the_processors_cache_has_no_ceiling(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.plan.hardware.hardware.last_level_cache", lambda: 1 << 30)
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 48)) as pilot:
        await open_prepare(pilot)
        await wait_until(pilot, lambda: "fits in the processor's cache" in estimate(pilot))


async def test_f5_is_refused_while_other_programs_are_busy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressed again, it measures anyway."""
    measured = []

    async def measure(device: Device) -> float:
        measured.append(device.name)
        return 8e9

    monkeypatch.setattr(bandwidths, "measure_bandwidth", measure)
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 48), notifications=True) as pilot:
        await open_prepare(pilot)
        monkeypatch.setattr(app.sampler, "busy_percent", lambda *_: 97.0)
        await pilot.press("f5")
        await wait_until(pilot, lambda: "Other programs use 97 % of this machine." in toasts(app))
        assert not measured
        await pilot.press("f5")
        await wait_until(pilot, lambda: bool(measured))


@pytest.mark.usefixtures("bound_by_memory")
async def test_f5_measures_the_bandwidth_once(settings: Settings) -> None:
    """Before, the estimate names the key; afterwards the bandwidth is read from the cache."""
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 48)) as pilot:
        await open_prepare(pilot)
        assert "F5" in estimate(pilot)
        await press_f5(pilot)
        await wait_until(pilot, lambda: "tok/s at" in estimate(pilot))
    assert read_bandwidth(cpu()) is not None
    assert probe_machine(cpu(), app.store).bandwidth == read_bandwidth(cpu())


@pytest.mark.usefixtures("bound_by_memory")
async def test_a_failed_measurement_is_reported(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(device: Device) -> float:
        raise OSError("no space")

    monkeypatch.setattr(bandwidths, "measure_bandwidth", fail)
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 48), notifications=True) as pilot:
        await open_prepare(pilot)
        await press_f5(pilot)
        await wait_until(pilot, lambda: "no space" in toasts(app))
        assert "F5" in estimate(pilot)


def test_a_damaged_bandwidth_cache_is_ignored(own_folders: Path) -> None:
    bandwidths.cache_file().parent.mkdir(parents=True, exist_ok=True)
    for text in ("", "[]", '{"x": 1}', "not json"):
        bandwidths.cache_file().write_text(text)
        assert read_bandwidth(cpu()) is None


async def test_f12_shows_every_backend_with_reason_and_source(settings: Settings) -> None:
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prepare(pilot)
        await pilot.press("f12")
        await wait_until(pilot, lambda: isinstance(app.screen, SupportScreen))
        table = app.screen.query_one(DataTable)
        await wait_until(pilot, lambda: table.row_count >= len(PRECISIONS))
        assert len(table.columns) == 2 + len(LOCAL)
        await pilot.press("down", "down")
        await pilot.pause()
        text = str(app.screen.query_one("#support-why", Static).content)
        assert "FP16 with PyTorch: unavailable" in text
        assert "Choose BF16 or FP32." in text
        assert "Source: " in text
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, ModelsScreen)


def test_doctor_prints_the_same_states() -> None:
    lines = list(doctor.precision_lines("openvino", cpu()))
    assert len(lines) == len(PRECISIONS)
    assert any("unavailable" in line and "NaN" in line and "[measured" in line for line in lines)


@pytest.mark.usefixtures("bound_by_memory")
async def test_a_backend_that_can_use_the_gpu_is_estimated_on_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO stays on the CPU. The bandwidth of the GPU is the driver's until F5 has measured it."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml((Gpu(),)))
    monkeypatch.setattr(placement, "torch_sees_gpus", lambda: True)
    app = playground(replace(settings, chosen=False, right=EngineChoice("pytorch", "fp32")))
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await open_prepare(pilot)
        await wait_until(pilot, lambda: "of 139 GiB free" in estimate(pilot, "right"))
        assert "of 139 GiB free" not in estimate(pilot, "left")
        assert "driver's figure · F5 measures" in estimate(pilot, "right")
        device = device_of("pytorch", app.device, app.gpu)
        assert device.name == "cuda:0"
        bandwidths.save_bandwidth(device, 4.28e12)
        pilot.app.screen.query_one(EnginePair).probe_devices()
        await wait_until(pilot, lambda: "at 4,280 GB/s" in estimate(pilot, "right"))
        assert "by the driver" not in estimate(pilot, "right")
