"""Driving a Playground in a test: wait for engines, ask, wait for answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Static

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.state.settings.settings import DEMO, ChatOptions, EngineChoice, Settings
from app.state.side.snapshot import Phase
from app.widgets.chat.prompt import PromptInput
from engines.worker.protocol import Sampling
from tests.doubles.fork_server import start_forked


def sampled(settings: Settings, sampling: Sampling) -> Settings:
    """The settings with both sides sampled like this."""
    chat = ChatOptions(sampling=sampling)
    return replace(settings, left_chat=chat, right_chat=chat)


def playground(
    settings: Settings, settings_file: Path | None = None, conversation: Path | None = None
) -> Playground:
    """Return the app with real engines; their processes are forked, which saves seconds of imports."""
    return Playground(settings, settings_file, conversation, start_worker=start_forked)


def beside_pytorch(precision: str = "fp8", checkpoint: str = DEMO) -> Settings:
    """Chosen: TensorRT-LLM on the left, the reference on the right."""
    left, right = EngineChoice("tensorrt-llm", precision), EngineChoice("pytorch", "fp32")
    chosen = Settings(checkpoint=checkpoint, context=512, chosen=True, left=left, right=right)
    return sampled(chosen, Sampling(max_tokens=40, ignore_eos=True))


async def wait_until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 240.0) -> None:
    """Let the app run until `condition` holds; it is then idle, as after a key."""
    async with asyncio.timeout(seconds):
        # Not `pause`: it draws the screen each time, which costs a third of the processor.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await pilot.pause()


async def until_ready(pilot: Pilot[None]) -> Playground:
    """Wait for both engines."""
    app = pilot.app
    assert isinstance(app, Playground)
    await wait_until(pilot, lambda: all(side.phase is Phase.READY for side in app.sides))
    return app


async def until_chat(pilot: Pilot[None]) -> None:
    """Wait for the chat with all that is in it: the first start composes it when its engines are ready.

    A test that ended while it is composed would end in the middle of Textual's own mounting.
    """
    await wait_until(pilot, lambda: bool(pilot.app.screen.query("#pane-right Transcript")))
    await pilot.pause(0.5)


def failure(app: Playground, side: str) -> str:
    """What the card on a side of the chat says; empty while there is none."""
    chat = next(screen for screen in app.screen_stack if isinstance(screen, ChatScreen))
    card = chat.query_one(f"#pane-{side} FailureCard")
    return str(card.query_one(Static).content) if card.display else ""


def toasts(app: Playground) -> str:
    """What the app has told."""
    return " ".join(str(one.message) for one in app._notifications)


async def ask(pilot: Pilot[None], text: str) -> None:
    """Put a prompt into the box, send it, and wait for both answers."""
    app = pilot.app
    assert isinstance(app, Playground)
    before = len(app.left.conversation.turns)
    # Pasted: a key pressed takes some 50 ms here, and other tests type.
    app.screen.query_one(PromptInput).load_text(text)
    await pilot.press("enter")
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
