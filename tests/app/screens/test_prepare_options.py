"""Options of TensorRT-LLM on Models: a calibration text, and several GPUs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static

from app.screens.calibration import CalibrationScreen
from app.screens.models import ModelsScreen
from app.state.settings.paths import environment_folder
from app.state.settings.settings import EngineChoice, Settings
from app.state.side.phase import Phase
from app.widgets.models.model_picker import ModelPicker
from app.widgets.prepare.engine_picker import EnginePicker
from app.widgets.prepare.option_row import OptionRow
from app.widgets.prepare.precision_list import PrecisionList
from engines.environments.environment import Environment, save
from tests.app.driving import playground, toasts, until_chat, until_finished, wait_until
from tests.app.screens.conftest import located
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.double_environment import make_environment

FP8, PYTORCH = EngineChoice("tensorrt-llm", "fp8"), EngineChoice("pytorch", "fp32")
CHOSEN = Settings(context=512, chosen=False, welcomed=True, left=FP8, right=PYTORCH)
"""With the demo checkpoint, which has two KV heads."""
PROBLEM = "Left: The calibration text mine [1].txt cannot be used"
ENOUGH = "What people really ask. " * 100


@pytest.fixture(scope="module")
def shared_environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment of the newest release, which no test changes."""
    return located(make_environment(tmp_path_factory.mktemp("trtllm") / "main", "main"))


@pytest.fixture(autouse=True)
def _tensorrt_llm_on_four_gpus(shared_environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(tuple(Gpu(uuid=f"GPU-{n}") for n in range(4))))
    save(environment_folder(), shared_environment)


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text long enough for calibration, in the home folder."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / "mine [1].txt").write_text(ENOUGH)
    return home / "mine [1].txt"


async def opened(pilot: Pilot[None]) -> EnginePicker:
    """Wait until Prepare has read the checkpoint; returns the left picker."""
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
    await wait_until(pilot, lambda: pilot.app.screen.query_one(ModelPicker).checkpoint is not None)
    await wait_until(pilot, lambda: "fits" in text_of(pilot, ".estimate"))
    return pilot.app.screen.query_one("#engine-left", EnginePicker)


def text_of(pilot: Pilot[None], selector: str) -> str:
    return str(pilot.app.screen.query_one(f"#engine-left {selector}", Static).content)


async def choose(pilot: Pilot[None], picker: EnginePicker, precision: str) -> None:
    precisions = picker.query_one(PrecisionList)
    precisions.highlighted = precisions.get_option_index(precision)
    await wait_until(pilot, lambda: picker.selection.precision == precision)
    await pilot.pause()


async def test_options_are_shown_for_engines_that_support_them() -> None:
    app = playground(CHOSEN)
    async with app.run_test(size=(120, 48)) as pilot:
        picker = await opened(pilot)
        row, gpus = picker.query_one(OptionRow), picker.query_one(".gpus", Select)
        assert text_of(pilot, ".calibration") == "Calibration: built-in texts"
        assert picker.selection.gpu_counts == (1, 2)
        gpus.value = 2
        await wait_until(pilot, lambda: "on each of 2 GPUs" in text_of(pilot, ".estimate"))
        assert picker.selection.choice == EngineChoice("tensorrt-llm", "fp8", gpus=2)
        await choose(pilot, picker, "bf16")
        assert text_of(pilot, ".calibration") == "Weights and cache on"
        assert "on each of 2 GPUs" in text_of(pilot, ".estimate")
        await pilot.press("c")
        assert isinstance(app.screen, ModelsScreen)
        picker.query_one(".backend", Select).value = "openvino"
        await wait_until(pilot, lambda: not row.display)
        assert picker.selection.choice.options == {}
        assert not pilot.app.screen.query_one("#engine-right OptionRow").display


async def test_unusable_calibration_texts_are_refused(text: Path) -> None:
    """When a file is chosen, and again before the build if the file has changed."""
    (text.parent / "short.txt").write_text("short")
    app = playground(CHOSEN)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        picker = await opened(pilot)
        picker.query_one(PrecisionList).focus()
        await pilot.press("c")
        await wait_until(pilot, lambda: isinstance(app.screen, CalibrationScreen))
        screen, field = app.screen, app.screen.query_one(Input)
        for path, expected in (
            (str(text.parent), "It is a folder"),
            ("~/none.txt", "There is no such file"),
            ("~/short.txt", "5 characters"),
        ):
            field.value = path
            await until_finished(pilot, "list")  # its end would replace the message
            await pilot.press("enter")
            note = screen.query_one("#file-note", Static)
            await wait_until(pilot, lambda note=note, expected=expected: expected in str(note.content))  # type: ignore[misc]
        field.value = "~/mine [1].txt"
        await until_finished(pilot, "list")
        await pilot.press("enter")
        await wait_until(pilot, lambda: text_of(pilot, ".calibration") == "Calibration: mine [1].txt")
        assert picker.selection.choice.calibration == "~/mine [1].txt"
        await asyncio.to_thread(text.unlink)
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: PROBLEM in toasts(app))
        assert app.left.phase is Phase.EMPTY
        await pilot.press("c", "ctrl+u", "enter")
        await wait_until(pilot, lambda: text_of(pilot, ".calibration") == "Calibration: built-in texts")


async def test_the_palette_command_explains_that_no_engine_is_calibrated() -> None:
    app = playground(replace(CHOSEN, left=PYTORCH))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await opened(pilot)
        await app.run_action("screen.calibration", app.screen)
        await wait_until(
            pilot, lambda: "Only OpenVINO's INT4, TensorRT's INT8 and TensorRT-LLM's" in toasts(app)
        )


async def test_more_gpus_than_available_are_refused_before_a_build(text: Path) -> None:
    """Settings may come from another machine."""
    settings = replace(CHOSEN, chosen=True, left=replace(FP8, gpus=8, calibration=str(text)))
    app = playground(settings)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_until(pilot, lambda: app.left.phase is Phase.FAILED)
        assert app.left.error is not None
        assert "8 is not possible on this machine" in app.left.error.message
        assert "Choose 1, 2 or 4." in app.left.error.hint
        await until_chat(pilot)
        await wait_until(pilot, lambda: app.right.phase is Phase.READY)


@pytest.mark.timeout(300)
async def test_from_the_options_to_the_engine(text: Path) -> None:
    """Calibrated with a text and split over two GPUs; a changed text makes a new engine."""
    left = replace(FP8, gpus=2, calibration=str(text))
    app = playground(replace(CHOSEN, left=left))
    async with app.run_test(size=(120, 36)) as pilot:
        picker = await opened(pilot)
        assert picker.selection.choice == left
        app.screen.query_one("#sides", Select).value = "left"
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: app.left.phase in (Phase.READY, Phase.FAILED), 200)
        assert app.left.error is None
        await until_chat(pilot)
        assert app.settings.left == left
        assert app.left.title == "TensorRT-LLM fp8 on 2 GPUs"
        assert app.left.spec is not None
        assert app.left.spec.devices == ("cuda:0", "cuda:1")
        assert app.left.estimate is not None
        (first,) = app.store.engines()
        assert first.spec.options == {"calibration": str(text), "tensor_parallel_size": "2"}
        assert first.manifest.facts["calibration_texts"] == 2
        await asyncio.to_thread(text.write_text, ENOUGH.upper())
        app.open_engines(("left",))
        why = "rebuilding, because the calibration text changed"
        await wait_until(pilot, lambda: why in app.builds["left"].lines)
        app.cancel_builds()
        await wait_until(
            pilot, lambda: app.left.phase in (Phase.EMPTY, Phase.READY)
        )  # built before it is cancelled


async def test_int4_is_calibrated_unless_the_user_wants_none() -> None:
    app = playground(replace(CHOSEN, left=EngineChoice("openvino", "int4")))
    async with app.run_test(size=(120, 48)) as pilot:
        picker = await opened(pilot)
        assert text_of(pilot, ".calibration") == "Calibration: built-in texts"
        picker.query_one(PrecisionList).focus()
        await pilot.press("c")
        await wait_until(pilot, lambda: isinstance(app.screen, CalibrationScreen))
        app.screen.query_one(Input).value = "none"
        await until_finished(pilot, "list")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "each weight rounded" in text_of(pilot, ".calibration"))
        assert picker.selection.choice == EngineChoice("openvino", "int4", calibration="none")
        await choose(pilot, picker, "int4-awq")
        assert text_of(pilot, ".calibration") == "Calibration: built-in texts"
        assert picker.selection.choice == EngineChoice("openvino", "int4-awq")
