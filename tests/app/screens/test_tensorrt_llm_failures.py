"""Failures of TensorRT-LLM: the message on screen, and that the side can be restarted."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.playground import Playground
from app.screens.models import ModelsScreen
from app.state.settings.paths import engine_store
from app.state.settings.settings import Settings
from app.state.side.phase import Phase
from app.widgets.chat.prompt import PromptInput
from app.widgets.prepare.build_progress import BuildProgress
from app.widgets.prepare.engine_picker import EnginePicker
from app.widgets.prepare.error_card import ErrorCard
from tests.app.driving import (
    ask,
    beside_pytorch,
    failure,
    playground,
    toasts,
    until_chat,
    until_ready,
    wait_until,
)
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.double_environment import set_gpu, set_version

FAILURE = "TENSORRT_LLM_DOUBLE"
A100 = Gpu("NVIDIA A100", compute_capability=(8, 0))
T4 = Gpu("Tesla T4", compute_capability=(7, 5))
pytestmark = pytest.mark.timeout(300)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Playground, Pilot[None]]]:
    """Start the app and wait for the chat."""
    app = playground(settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_chat(pilot)
        yield app, pilot


async def failed(pilot: Pilot[None], *texts: str) -> None:
    """Wait until the left card shows `texts`: what happened, and what to do next."""
    app = pilot.app
    assert isinstance(app, Playground)
    await wait_until(pilot, lambda: app.left.phase is Phase.FAILED)
    await wait_until(pilot, lambda: failure(app, "left") != "")
    shown = failure(app, "left")
    print(shown)
    for one in texts:
        assert one in shown
    assert app.right.phase is not Phase.FAILED


async def restart(pilot: Pilot[None]) -> None:
    """Press F9 and wait until the old error is gone; the card may show a new one already."""
    app = pilot.app
    assert isinstance(app, Playground)
    before = app.left.error
    await pilot.press("f9")
    await wait_until(pilot, lambda: app.left.error is not before)


def kill(app: Playground) -> None:
    """Kill the left engine's worker."""
    assert app.left.pid
    psutil.Process(app.left.pid).kill()


@pytest.mark.usefixtures("environment")
async def test_starts_that_fail_one_after_the_other(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that hangs, MPI missing or without slots; the other side works, and F9 tries again."""
    monkeypatch.setenv("TRT_PLAYGROUND_IMPORT_SECONDS", "2")
    monkeypatch.setenv(FAILURE, "hang-at-import")
    async with opened(beside_pytorch("bf16", str(tiny))) as (app, pilot):
        await failed(pilot, "has done nothing for 2 s. The usual cause is MPI.", "trt-playground env check")
        monkeypatch.setenv("TRT_PLAYGROUND_IMPORT_SECONDS", "120")
        for failure_name, texts, next_step in (
            ("libmpi", "TensorRT-LLM needs MPI, and the MPI library was not found.", "libopenmpi-dev"),
            (
                "no-slots",
                "MPI has no free slot for the engine's process.",
                "Start trt-playground with TLLM_WORKER_USE_SINGLE_PROCESS=1",
            ),
            ("out-of-memory", "There is not enough memory.", "Choose a smaller precision or context"),
        ):
            monkeypatch.setenv(FAILURE, failure_name)
            await restart(pilot)
            await failed(pilot, texts, next_step)
        monkeypatch.delenv(FAILURE)
        await restart(pilot)
        await until_ready(pilot)
        assert failure(app, "left") == ""


@pytest.mark.usefixtures("environment")
async def test_an_engine_that_dies_and_finds_no_memory(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversation is kept, F9 restarts the side, and the next prompt continues it."""
    async with opened(beside_pytorch("bf16", str(tiny))) as (app, pilot):
        await until_ready(pilot)
        kill(app)
        await failed(pilot, "killed by SIGKILL.", "Restart this side; the conversation is kept.")
        monkeypatch.setenv(FAILURE, "die-mid-answer")
        await restart(pilot)
        await until_ready(pilot)
        app.screen.query_one(PromptInput).load_text("Tell me a story.")
        await pilot.press("enter")
        await failed(pilot, "Restart this side; the conversation is kept.")
        turn = app.left.conversation.turns[-1]
        assert turn.error is not None
        assert turn.error.message == "The worker ended: exit code 134 (SIGABRT)."
        assert 0 < len(turn.token_ids) <= 5
        await wait_until(pilot, lambda: app.right.phase is Phase.READY)
        assert len(app.right.conversation.turns[-1].token_ids) == 40
        monkeypatch.setenv(FAILURE, "out-of-memory")
        await restart(pilot)
        await failed(pilot, "There is not enough memory.", "close the other side's engine")
        monkeypatch.delenv(FAILURE)
        await restart(pilot)
        await until_ready(pilot)
        await ask(pilot, "And then?")
        assert app.left.conversation.turns[-1].error is None


@pytest.mark.usefixtures("environment")
async def test_an_engine_of_another_gpu_or_release(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store accepts the files, but they were built for another GPU or by another release."""
    async with opened(beside_pytorch("int8-sq", str(tiny))) as (app, pilot):
        await wait_until(pilot, lambda: app.left.phase is Phase.READY, 120)
        kill(app)
        await failed(pilot, "killed by SIGKILL.")
        monkeypatch.setenv(FAILURE, "other-gpu")
        await restart(pilot)
        remedy = "Delete it in the store (F8, or `trt-playground engines rm`), then prepare it again."
        await failed(pilot, "The engine was built for another GPU or another version of TensorRT.", remedy)
        monkeypatch.delenv(FAILURE)
        (config,) = engine_store().glob("engines/*/engine/config.json")
        described = json.loads(config.read_text())
        config.write_text(json.dumps(described | {"version": "1.2.0"}))
        await restart(pilot)
        texts = "The engine was built by TensorRT-LLM 1.2.0, and 1.2.1 is installed."
        await failed(pilot, texts, remedy)


async def test_another_release_or_gpu_rebuilds(own_environment: Path, tiny: Path) -> None:
    """The log of Prepare gives the reason."""
    set_gpu(own_environment, "NVIDIA H100", (9, 0))
    async with opened(beside_pytorch("bf16", str(tiny))) as (app, pilot):
        await until_ready(pilot)
        for change, why in (
            (lambda: set_version(own_environment, "1.2.2"), "tensorrt_llm changed from 1.2.1 to 1.2.2"),
            (
                lambda: set_gpu(own_environment, "NVIDIA A100", (8, 0)),
                "GPU changed from NVIDIA H100 (9.0) to NVIDIA A100 (8.0)",
            ),
        ):
            kill(app)
            await failed(pilot, "killed by SIGKILL.")
            change()
            await restart(pilot)
            await until_ready(pilot)
            assert f"rebuilding, because {why}" in app.builds["left"].lines


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("gpu", "why", "next_step"),
    [
        (A100, "FP8 needs compute capability 8.9 (Ada).", "Choose INT4 AWQ."),
        (T4, "TensorRT-LLM needs compute capability 8.0 (Ampere) or newer.", "Choose PyTorch on this GPU."),
    ],
)
async def test_a_gpu_that_is_too_old(
    gpu: Gpu, why: str, next_step: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picker shows the reason; a choice from the settings or --left is refused before a build."""
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(gpu,)))
    async with opened(beside_pytorch("fp8", str(tiny))) as (app, pilot):
        await failed(pilot, why, next_step)
        assert app.builds["left"].stages == []
        await pilot.press("f2")
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        picker = app.screen.query_one("#engine-left", EnginePicker)
        await wait_until(pilot, lambda: picker.selection.problem != "")
        assert picker.selection.problem == f"{why} {next_step}"
        card = app.screen.query_one(ErrorCard)
        await wait_until(pilot, lambda: card.text == f"Left · TensorRT-LLM fp8: {why} {next_step}")
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: f"Left: {why} {next_step}" in toasts(app))


@pytest.mark.usefixtures("environment")
async def test_a_second_build_is_refused_while_one_runs(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A toast explains it; Esc cancels the first build and removes its files."""
    monkeypatch.setenv(FAILURE, "hang-at-load")
    start = replace(beside_pytorch("bf16", str(tiny)), chosen=False)
    app = playground(start)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await wait_until(pilot, lambda: not app.screen.problem)  # type: ignore[attr-defined]
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: "left" in app.builds and "smoke test" in app.builds["left"].stages)
        first = app.builds["left"]
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: "A build is running. Cancel it first (Esc)." in toasts(app))
        assert app.builds["left"] is first
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.left.phase is Phase.EMPTY)
        progress = app.screen.query_one("#build-left", BuildProgress)
        await wait_until(
            pilot,
            lambda: "Cancelled; partial files removed." in str(progress.query_one(".build-stages").render()),
        )
        assert not [*engine_store().glob("building/*")]
        monkeypatch.delenv(FAILURE)
        await pilot.press("ctrl+b")
        await until_ready(pilot)
        await until_chat(pilot)
