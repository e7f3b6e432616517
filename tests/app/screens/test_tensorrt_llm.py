"""TensorRT-LLM in the app: its double in a separate environment, the demo, and a simulated GPU."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace
from textual.widgets import Input, Select

from app.screens.models import ModelsScreen
from app.screens.sampling import SamplingScreen
from app.state.conversation.agreement import agreement
from app.state.settings.paths import environment_folder
from app.state.settings.settings import EngineChoice
from app.state.side.phase import Phase
from app.widgets.forms.options_form import OptionsForm
from app.widgets.prepare.engine_picker import EnginePicker
from engines.environments.environment import save
from engines.worker.process_tree import ProcessTree
from engines.worker.protocol import Sampling
from tests.app.driving import (
    ask,
    beside_pytorch,
    playground,
    sampled,
    until_answered,
    until_chat,
    until_ready,
    wait_until,
)
from tests.app.screens.conftest import located
from tests.engines.double_environment import make_environment
from tests.engines.plan.folders import LLAMA, write_checkpoint


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("environment")
async def test_from_the_picker_to_the_chat() -> None:
    start = replace(beside_pytorch(), chosen=False, left=EngineChoice("openvino", "int8"))
    app = playground(start)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        picker = app.screen.query_one("#engine-left", EnginePicker)
        picker.query_one(".backend", Select).value = "tensorrt-llm"
        await wait_until(pilot, lambda: picker.selection.choice == EngineChoice("tensorrt-llm", "fp8"))
        assert picker.selection.support.state == "native"
        await wait_until(pilot, lambda: not app.screen.problem)  # type: ignore[attr-defined]
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: app.left.phase in (Phase.READY, Phase.FAILED), 200)
        assert app.left.error is None, app.left.error
        await until_ready(pilot)
        await until_chat(pilot)
        build = app.builds["left"]
        assert build.ready
        await ask(pilot, "What is a KV cache?")
        left, right = (side.conversation.turns[-1] for side in app.sides)
        assert left.error is None
        assert (left.prompt_digest, len(left.token_ids)) == (right.prompt_digest, 40)
        assert app.left.kv is not None
        assert app.left.kv.block_tokens == 32
        assert (app.left.kv.used_blocks or 0) >= 2
        processes = [one for side in app.sides if side.pid for one in ProcessTree(side.pid).members()]
        assert len(processes) >= 2
        await pilot.press("ctrl+q")
        await wait_until(pilot, lambda: app.return_code == 0)
    assert not psutil.wait_procs(processes, timeout=30)[1]


@pytest.mark.timeout(200)
@pytest.mark.usefixtures("environment")
async def test_stop_death_and_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    app = playground(sampled(beside_pytorch("bf16"), Sampling(max_tokens=400, ignore_eos=True)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_ready(pilot)
        await until_chat(pilot)
        from app.widgets.chat.prompt import PromptInput

        app.screen.query_one(PromptInput).load_text("Tell me a story.")
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.left.phase is Phase.DECODE)
        await pilot.press("escape")
        await until_answered(pilot)
        assert app.left.conversation.turns[-1].reason == "stopped"
        assert app.left.pid
        psutil.Process(app.left.pid).kill()
        await wait_until(pilot, lambda: app.left.phase is Phase.FAILED)
        assert app.left.error is not None
        assert "SIGKILL" in app.left.error.message
        await pilot.press("f9")
        await until_ready(pilot)
        await pilot.pause()


SEEDED = Sampling(max_tokens=16, temperature=0.9, seed=7, ignore_eos=True)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("simulated_gpu")
@pytest.mark.parametrize(("generation", "ignored"), [("1_2", True), ("main", False)])
async def test_what_a_release_ignores(generation: str, ignored: bool, tmp_path: Path) -> None:
    """Where a release ignores the seed, the field is disabled and the answers are not compared."""
    python = make_environment(tmp_path / generation, generation)
    save(environment_folder(), located(python))
    app = playground(sampled(beside_pytorch("bf16"), SEEDED))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_ready(pilot)
        await until_chat(pilot)
        await ask(pilot, "What is a KV cache?")
        left, right = (side.conversation.turns[-1] for side in app.sides)
        assert left.error is None
        assert len(left.token_ids) == 16
        assert app.left.kv is not None
        assert app.left.kv.reused_blocks == 0
        assert agreement(left, right).startswith("sampling differs: ") is ignored
        await pilot.press("f4")
        await wait_until(pilot, lambda: isinstance(app.screen, SamplingScreen))
        form = app.screen.query_one("#options-left", OptionsForm)
        assert form.query_one(".seed").disabled is ignored


@pytest.mark.usefixtures("environment")
async def test_unsupported_checkpoints_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    quantised = LLAMA | {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    for name, config in (("plain", LLAMA), ("gptq", quantised)):
        model = tmp_path / f"models--org--{name}"
        write_checkpoint(model / "snapshots" / ("a" * 40), config)
        (model / "refs").mkdir()
        (model / "refs" / "main").write_text("a" * 40)
    app = playground(replace(beside_pytorch(), chosen=False, checkpoint="org/plain"))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        left, right = app.screen.query(EnginePicker)
        await wait_until(pilot, lambda: left.selection.support.state == "native")
        app.screen.query_one("#checkpoint", Input).value = "org/gptq"
        await wait_until(pilot, lambda: left.selection.support.state == "unavailable")
        assert "quantised by gptq" in left.selection.problem
        assert right.selection.support.state == "unavailable", "GPTQ's library is not installed"
        await pilot.press("ctrl+b")
        await pilot.pause()
        assert not app.builds
