"""TensorRT in the app: the real builder, a double of the runtime, the demo, and a simulated GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest
from textual.widgets import Select

from app.screens.models import ModelsScreen
from app.state.settings.settings import EngineChoice, Settings
from app.state.side.phase import Phase
from app.widgets.models.model_picker import ModelPicker
from app.widgets.prepare.engine_picker import EnginePicker
from engines.worker.protocol import Sampling
from tests.app.driving import ask, playground, sampled, toasts, until_chat, until_ready, wait_until
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.backends.tensorrt.conftest import use_double

FP16, PYTORCH = EngineChoice("tensorrt", "fp16"), EngineChoice("pytorch", "fp32")
BESIDE_PYTORCH = sampled(
    Settings(context=512, chosen=True, welcomed=True, left=FP16, right=PYTORCH),
    Sampling(max_tokens=24, ignore_eos=True),
)
pytestmark = pytest.mark.timeout(300)


def see_gpu(patch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    patch.setitem(sys.modules, "pynvml", Nvml((Gpu(compute_capability=capability),)))


@pytest.fixture
def rtx_40(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    see_gpu(monkeypatch, (8, 9))
    use_double(monkeypatch, tmp_path / "graphs")


@pytest.mark.usefixtures("rtx_40")
async def test_built_cancelled_built_again_and_chatted_with() -> None:
    """The phases of the builder are shown; the answer has the prompt's tokens of the other side."""
    app = playground(BESIDE_PYTORCH)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(pilot, lambda: "left" in app.builds)
        await wait_until(pilot, lambda: "Optimizing graph" in app.builds["left"].lines, 120)
        app.cancel_builds()
        await wait_until(pilot, lambda: app.left.phase in (Phase.EMPTY, Phase.READY))
        app.open_engines(("left", "right"))
        await wait_until(pilot, lambda: app.left.phase in (Phase.READY, Phase.FAILED), 200)
        assert app.left.error is None, app.left.error
        await until_ready(pilot)
        await until_chat(pilot)
        assert app.left.title == "TensorRT fp16 for sm89"
        await ask(pilot, "What is a KV cache?")
        left, right = (side.conversation.turns[-1] for side in app.sides)
        assert left.error is None
        assert left.prompt_digest == right.prompt_digest
        assert left.token_ids == right.token_ids
        await ask(pilot, "And then?")
        turn = app.left.conversation.turns[-1]
        assert turn.cached is not None
        assert turn.cached > 0
        assert app.left.kv is not None
        assert app.left.kv.bytes_used
        assert app.left.pid
        psutil.Process(app.left.pid).kill()
        await wait_until(pilot, lambda: app.left.phase is Phase.FAILED)
        await pilot.press("f9")
        await until_ready(pilot)
        (engine,) = [one for one in app.store.engines() if one.spec.backend == "tensorrt"]
        assert engine.spec.options == {"target": "sm89", "context": "512"}


async def test_gpus_of_data_centres_are_refused_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an H100."""
    see_gpu(monkeypatch, (9, 0))
    app = playground(
        Settings(
            context=512, chosen=False, welcomed=True, left=EngineChoice("openvino", "int8"), right=PYTORCH
        )
    )
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await wait_until(pilot, lambda: app.screen.query_one(ModelPicker).checkpoint is not None)
        picker = app.screen.query_one("#engine-left", EnginePicker)
        picker.query_one(".backend", Select).value = "tensorrt"
        await wait_until(pilot, lambda: "GeForce and RTX GPUs" in picker.selection.support.reason)
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: "GeForce and RTX GPUs" in toasts(app))
        assert not app.builds


async def test_without_a_gpu_another_backend_is_named() -> None:
    app = playground(BESIDE_PYTORCH)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: app.left.phase is Phase.FAILED)
        assert app.left.error is not None
        assert app.left.error.message == "TensorRT runs on NVIDIA GPUs only."
        assert "ONNX Runtime" in app.left.error.hint
        await until_chat(pilot)
        await wait_until(pilot, lambda: app.right.phase is Phase.READY)
