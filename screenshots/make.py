"""Take every screenshot of the README from the real app with real engines: `make screenshots`.

Only the prompts are fixed: the figures in the screenshots are measured on this machine. `--model FOLDER`
takes those of Compare, Quality and the dark chat with another checkpoint than the demo, and no others.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.compare import CompareScreen
from app.screens.models import ModelsScreen
from app.screens.quality import QualityScreen
from app.state.settings.paths import conversation_folder
from app.state.settings.settings import DEMO, ChatOptions, EngineChoice, Settings
from app.state.side.phase import Phase
from engines.worker.protocol import Sampling
from screenshots.browser import ask_in_browser, has_browser
from screenshots.record import record_session
from screenshots.served import served

FOLDER = Path(__file__).parent
COMPARED = "Write a Python function that checks whether a number is prime."
SHOWN = "OpenVINO int4"
"""The engine whose card is shown."""
QUESTIONS = ("What is a KV cache?", "Why is decode memory bound?", "Make a list of three precisions.")


async def until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Run the app until `condition` is true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await pilot.pause(0.1)


async def ready(pilot: Pilot[None], app: Playground) -> None:
    """Wait until both engines are ready."""
    await until(pilot, lambda: all(side.phase is Phase.READY for side in app.sides))


async def ask(pilot: Pilot[None], app: Playground, question: str) -> None:
    """Send a question and wait for both answers."""
    asked = len(app.right.conversation.turns)
    await pilot.press(*question, "enter")
    await until(pilot, lambda: len(app.right.conversation.turns) > asked)
    await until(pilot, lambda: all(side.conversation.turns[-1].reason != "" for side in app.sides))
    await ready(pilot, app)
    await pilot.pause(0.6)  # the panels draw four times a second


async def take(
    name: str, theme: str, size: tuple[int, int], questions: tuple[str, ...], model: str = DEMO
) -> None:
    """Go from Models to a chat, ask `questions`, and save screenshots of both screens."""
    app = Playground(Settings(theme=theme, checkpoint=model))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.pause(0.5)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await ready(pilot, app)
        for question in questions:
            await ask(pilot, app, question)
        app.save_screenshot(f"chat-{name}.svg", str(FOLDER))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.pause(1.0)
        app.save_screenshot(f"models-{name}.svg", str(FOLDER))


async def take_quality(theme: str, model: str) -> None:
    """Measure every precision that needs no compiler, and save a screenshot of Quality."""
    app = comparing(theme, model)
    async with app.run_test(size=(160, 48)) as pilot:
        await ready(pilot, app)
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(app.screen, QualityScreen))
        await pilot.pause(1.0)
        await pilot.press("m")
        await until(pilot, lambda: not app.quality.is_running or "compiled" in app.quality.engine, 3000)
        await pilot.press("escape")
        await until(pilot, lambda: not app.quality.is_running)
        screen = app.screen
        assert isinstance(screen, QualityScreen)
        while screen.chosen and screen.chosen.title != SHOWN:
            await pilot.press("down")
        await pilot.pause(1.0)
        app.save_screenshot("quality.svg", str(FOLDER))


async def take_compare(theme: str, model: str) -> None:
    """Compare int4 and int8 with the reference on one answer, and save a screenshot of Compare."""
    app = comparing(theme, model)
    async with app.run_test(size=(160, 48)) as pilot:
        await ready(pilot, app)
        await ask(pilot, app, COMPARED)
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        comparison = screen.comparison
        await until(pilot, lambda: comparison.answer is not None and not comparison.step, 600)
        assert comparison.reference
        comparison.add(replace(comparison.specs[0], precision="int8"))
        await comparison.run()
        screen.view.show()
        await pilot.pause(1.0)
        app.save_screenshot("compare.svg", str(FOLDER))


def comparing(theme: str, model: str) -> Playground:
    """Return an app with int4 on the left and the reference on the right."""
    left, right = EngineChoice("openvino", "int4"), EngineChoice("pytorch", "fp32")
    options = ChatOptions(sampling=Sampling(max_tokens=120))
    return Playground(
        Settings(
            theme=theme,
            checkpoint=model,
            chosen=True,
            welcomed=True,
            left=left,
            right=right,
            left_chat=options,
            right_chat=options,
        )
    )


def take_browser() -> None:
    """Take the screenshot of the served app in Chromium, if it is installed."""
    if not has_browser():
        print("no browser screenshot: Chromium and its driver are not installed")
        return
    with tempfile.TemporaryDirectory() as folder, served() as server:
        ask_in_browser(server, QUESTIONS[0], Path(folder))
        shutil.copy(Path(folder, "browser.png"), FOLDER)


def delete_conversations() -> None:
    """Delete saved conversations, so that every recording starts without any."""
    shutil.rmtree(conversation_folder(), ignore_errors=True)


async def take_comparisons(model: str) -> None:
    """Take the screenshots of the two screens that compare."""
    await take_quality("playground-light", model)
    await take_compare("playground-dark", model)


async def take_real(model: str) -> None:
    """Take the screenshots for which the demo knows too little."""
    await take_comparisons(model)
    await take("dark", "playground-dark", (160, 48), (COMPARED,), model)


async def main() -> None:
    """Take every screenshot of the terminal."""
    await take_comparisons(DEMO)
    await take("dark", "playground-dark", (160, 48), QUESTIONS)
    await take("light", "playground-light", (160, 48), QUESTIONS)
    await take("small", "playground-dark", (80, 24), QUESTIONS[:1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take the screenshots of the README.")
    parser.add_argument("--model", help="folder of a checkpoint: Compare, Quality and the dark chat, with it")
    model = parser.parse_args().model
    with tempfile.TemporaryDirectory() as home:
        # Separate folders: the screenshots show the defaults, not the user's own settings.
        for variable in ("CONFIG", "CACHE", "DATA", "STATE"):
            os.environ[f"XDG_{variable}_HOME"] = str(Path(home) / variable.lower())
        if model:
            asyncio.run(take_real(model))
            raise SystemExit
        take_browser()
        delete_conversations()
        record_session(FOLDER / "session.cast")
        asyncio.run(main())
