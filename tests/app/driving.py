"""Helpers that drive a Playground in a test: wait for engines, send prompts, wait for answers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.state.settings.settings import DEMO, ChatOptions, EngineChoice, Settings
from app.state.side.phase import Phase
from app.widgets.chat.prompt import PromptInput
from engines.worker.protocol import Sampling
from tests.doubles.fork_server import start_forked

AnyScreen = TypeVar("AnyScreen", bound=Screen[Any])


def sampled(settings: Settings, sampling: Sampling) -> Settings:
    """Return the settings with this sampling on both sides."""
    chat = ChatOptions(sampling=sampling)
    return replace(settings, left_chat=chat, right_chat=chat)


def playground(
    settings: Settings, settings_file: Path | None = None, conversation: Path | None = None
) -> Playground:
    """Return the app with real engines; their processes are forked, which saves seconds of imports."""
    return Playground(settings, settings_file, conversation, start_worker=start_forked)


def beside_pytorch(precision: str = "fp8", checkpoint: str = DEMO) -> Settings:
    """Return settings with TensorRT-LLM on the left and PyTorch, the reference, on the right."""
    left, right = EngineChoice("tensorrt-llm", precision), EngineChoice("pytorch", "fp32")
    chosen = Settings(checkpoint=checkpoint, context=512, chosen=True, left=left, right=right)
    return sampled(chosen, Sampling(max_tokens=40, ignore_eos=True))


PATIENCE = 200.0
"""How long a state is waited for, in seconds: on two busy cores of a slow machine that takes minutes."""


async def wait_until(pilot: Pilot[Any], condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Let the app run until `condition()` is true and it is idle. Raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        # Not `pause`: it draws the screen each time, which costs a third of the processor.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await pilot.pause()


@contextmanager
def case(name: object) -> Iterator[None]:
    """Name the case in what fails inside: several cases share one started app."""
    try:
        yield
    except Exception as error:
        error.add_note(f"case: {name}")
        raise


async def until_screen(pilot: Pilot[Any], kind: type[AnyScreen]) -> AnyScreen:
    """Wait until a screen of this kind is shown and all of it is composed, and return it."""
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, kind) and is_composed(pilot.app.screen))
    screen = pilot.app.screen
    assert isinstance(screen, kind)
    return screen


def is_composed(screen: Screen[Any]) -> bool:
    """Return whether every widget of a screen is mounted, its children included."""
    return all(node.is_mounted for node in screen.walk_children(Widget, with_self=True))


async def until_finished(pilot: Pilot[Any], *groups: str) -> None:
    """Wait until no background task of these groups runs, nor one that such a task has started."""
    await pilot.pause()
    await wait_until(
        pilot, lambda: all(worker.is_finished for worker in pilot.app.workers if worker.group in groups)
    )


async def until_ready(pilot: Pilot[None]) -> Playground:
    """Wait until both engines are ready."""
    app = pilot.app
    assert isinstance(app, Playground)
    await wait_until(pilot, lambda: all(side.phase is Phase.READY for side in app.sides))
    return app


async def until_chat(pilot: Pilot[None]) -> None:
    """Wait until the chat is completely composed; on the first start that happens once the engines are ready.

    A test that ends earlier would end while Textual is mounting widgets.
    """
    chat = await until_screen(pilot, ChatScreen)
    await wait_until(pilot, lambda: bool(chat.query("RatePlot")) and is_composed(chat))


def failure(app: Playground, side: str) -> str:
    """Return the text of the failure card on a side of the chat; empty if there is none."""
    chat = next(screen for screen in app.screen_stack if isinstance(screen, ChatScreen))
    card = chat.query_one(f"#pane-{side} FailureCard")
    return str(card.query_one(Static).content) if card.display else ""


def toast_messages(app: App[Any]) -> list[str]:
    """Return the messages of all toasts, shown or not. Textual has no public list of them."""
    return [str(toast.message) for toast in app._notifications]


def toasts(app: App[Any]) -> str:
    """Return titles and messages of all toasts as one text."""
    return " ".join(f"{toast.title} {toast.message}".strip() for toast in app._notifications)


async def ask(pilot: Pilot[None], text: str) -> None:
    """Send a prompt and wait for both answers."""
    app = pilot.app
    assert isinstance(app, Playground)
    before = len(app.left.conversation.turns)
    # Loaded, not typed: each key takes about 50 ms here, and other tests cover typing.
    app.screen.query_one(PromptInput).load_text(text)
    await pilot.press("enter")
    await wait_until(pilot, lambda: len(app.left.conversation.turns) > before)
    await until_answered(pilot)


async def until_answered(pilot: Pilot[None]) -> None:
    """Wait until both sides have finished answering."""
    await until_finished(pilot, "answer")
    await until_ready(pilot)


async def hold_left(app: Playground) -> None:
    """Stop the left engine's process at its first token, before the loop handles the next one."""
    while app.left.phase is not Phase.DECODE:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert app.left.pid
    os.kill(app.left.pid, signal.SIGSTOP)


def go_on(app: Playground) -> None:
    """Let the left engine continue its answer."""
    assert app.left.pid
    os.kill(app.left.pid, signal.SIGCONT)
