"""A playground on a tiny checkpoint, with real engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from app.playground import Playground
from app.state.series import Phase
from app.state.settings import EngineChoice, SamplingSettings, Settings
from tests.engines.tiny import make_checkpoint

OPENVINO = EngineChoice("openvino", "int8")
PYTORCH = EngineChoice("pytorch", "fp32")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of a few hundred thousand random parameters."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    make_checkpoint(folder, "llama")
    return folder


@pytest.fixture
def settings(tiny: Path) -> Settings:
    """Engines chosen, short answers."""
    return Settings(
        checkpoint=str(tiny),
        context=512,
        chosen=True,
        left=OPENVINO,
        right=OPENVINO,
        sampling=SamplingSettings(max_tokens=24, ignore_eos=True),
    )


async def wait_until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Let the app run until `condition` holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await pilot.pause(0.05)


async def until_ready(pilot: Pilot[None]) -> Playground:
    """Wait for both engines."""
    app = pilot.app
    assert isinstance(app, Playground)
    await wait_until(pilot, lambda: all(side.phase is Phase.READY for side in app.sides))
    return app


async def ask(pilot: Pilot[None], text: str) -> None:
    """Type a prompt, send it, and wait for both answers."""
    app = pilot.app
    assert isinstance(app, Playground)
    before = len(app.left.conversation.turns)
    await pilot.press(*("space" if letter == " " else letter for letter in text), "enter")
    await wait_until(pilot, lambda: len(app.left.conversation.turns) > before)
    await until_answered(pilot)


async def until_answered(pilot: Pilot[None]) -> None:
    """Wait until nothing is being answered any more."""
    await pilot.pause()
    await wait_until(
        pilot, lambda: all(worker.is_finished for worker in pilot.app.workers if worker.group == "answer")
    )
    await until_ready(pilot)
    await pilot.pause()
