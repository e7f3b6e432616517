"""With an NVIDIA GPU: the compiled engine against PyTorch, from building the engines to quitting the app.

`python -m tests.e2e.test_gpu FOLDER [MODEL]` does the same without pytest and saves screenshots in FOLDER;
MODEL is the checkpoint's folder or a shape, such as `shape:llama-3.1-8b`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.models import ModelsScreen
from app.state.prepare.bandwidth_cache import read_bandwidth
from app.state.settings.settings import DEMO, EngineChoice, Settings
from app.state.side.phase import Phase
from app.state.side.snapshot import Snapshot
from app.widgets.chat.prompt import PromptInput
from app.widgets.panels.panel import Panel
from engines.measure.gpu import GpuSample, GpuSampler
from engines.plan.hardware.hardware import gpus

SETTINGS = Settings(
    left=EngineChoice("compiled", "fp8"), right=EngineChoice("pytorch", "bf16"), chosen=True, welcomed=True
)
QUESTIONS = ("What is a KV cache?", "Why is decode memory bound?", "Make a list of three precisions.")
SETTLED = 64 * 2**20
"""Bytes that the driver may keep after the engines have ended."""


async def drive(settings: Settings, folder: Path) -> Snapshot:
    """Build and load both engines, measure the bandwidth, send prompts, and return the last snapshot."""
    app = Playground(settings)
    async with app.run_test(size=(160, 48)) as pilot:
        await _until(pilot, lambda: all(side.phase is Phase.READY for side in app.sides))
        await _until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await pilot.press("f2")
        await _until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        # Needed for the upper bound of decode speed and for MBU; a second time in case it is refused.
        await pilot.press("f5", "f5")
        assert app.gpu
        gpu = app.gpu
        await _until(pilot, lambda: read_bandwidth(gpu) is not None)
        app.save_screenshot("models-gpu.svg", str(folder))
        await pilot.press("escape")
        await _until(pilot, lambda: isinstance(app.screen, ChatScreen))
        for question in QUESTIONS:
            await _ask(pilot, app, question)
        after = (await _snapshot(pilot, app)).now
        panels = app.screen.query(Panel)
        await _until(pilot, lambda: all(one.snapshot and one.snapshot.now >= after for one in panels))
        app.save_screenshot("chat-gpu.svg", str(folder))
        return await _snapshot(pilot, app)


async def _snapshot(pilot: Pilot[None], app: Playground) -> Snapshot:
    """Return the next snapshot that the panels receive."""
    seen: list[Snapshot] = []
    app.snapshots.subscribe(app.screen, seen.append)
    await _until(pilot, lambda: bool(seen))
    return seen[0]


async def _ask(pilot: Pilot[None], app: Playground, question: str) -> None:
    asked = len(app.right.conversation.turns)
    app.screen.query_one(PromptInput).load_text(question)
    await pilot.press("enter")
    await _until(pilot, lambda: len(app.right.conversation.turns) > asked)
    await _until(pilot, lambda: all(side.conversation.turns[-1].reason != "" for side in app.sides))
    await _until(pilot, lambda: all(side.phase is Phase.READY for side in app.sides))


async def _until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 300.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await pilot.pause()


def first_gpu() -> GpuSample:
    """Return the NVML sample of the first GPU."""
    sampler = GpuSampler()
    try:
        return sampler.sample()[0]
    finally:
        sampler.close()


def checked(folder: Path, model: str = DEMO) -> str:
    """Drive the app with the checkpoint `model`, compare its figures with NVML's, and return a summary."""
    before = first_gpu()
    snapshot = asyncio.run(drive(replace(SETTINGS, checkpoint=model), folder))
    [gpu] = [one for one in snapshot.gpus if one.index == 0]
    assert gpu.name == before.name
    assert gpu.memory_used is not None
    assert before.memory_used is not None
    assert gpu.memory_used > before.memory_used
    assert gpu.power is not None
    assert gpu.temperature is not None
    sides = (snapshot.left, snapshot.right)
    assert all(side.memory and side.memory.weights for side in sides)
    assert not psutil.Process().children(recursive=True)
    settled = _settled(before.memory_used)
    held = [f"{side.gpu_bytes / 1e9:.2f} GB" if side.gpu_bytes else "unknown" for side in sides]
    return (
        f"{gpu.name}: {gpu.memory_used / 1e9:.2f} GB in use with both engines ({' and '.join(held)}), "
        f"{before.memory_used / 1e9:.2f} before, {settled / 1e9:.2f} after; "
        f"{gpu.power:.0f} W, {gpu.temperature:.0f} °C, SM at {gpu.sm_clock} MHz"
    )


def _settled(before: int) -> int:
    """Wait up to 10 s until the driver has freed the engines' memory; returns the bytes in use."""
    end = time.monotonic() + 10
    while (used := first_gpu().memory_used or 0) > before + SETTLED:
        assert time.monotonic() < end, f"{used:,} bytes are in use, {before:,} were before"
        time.sleep(0.2)
    return used


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.skipif(not gpus(), reason="no NVIDIA GPU")
def test_the_app_on_a_gpu(tmp_path: Path) -> None:
    print(checked(tmp_path))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        for variable in ("CONFIG", "CACHE", "DATA", "STATE"):
            os.environ[f"XDG_{variable}_HOME"] = str(Path(home) / variable.lower())
        print(checked(Path(sys.argv[1]), *sys.argv[2:]))
