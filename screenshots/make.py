"""Take every screenshot of the README from the real app with real engines: `make screenshots`.

Only the prompts are fixed: the figures in the screenshots are measured on this machine.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.prepare import PrepareScreen
from app.state.settings.paths import conversation_folder
from app.state.settings.settings import Settings
from app.state.side.phase import Phase
from screenshots.browser import ask_in_browser, has_browser, served
from screenshots.record import record_session

FOLDER = Path(__file__).parent
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


async def take(name: str, theme: str, size: tuple[int, int], questions: tuple[str, ...]) -> None:
    """Go from Prepare to a chat, ask `questions`, and save screenshots of both screens."""
    app = Playground(Settings(theme=theme))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, PrepareScreen))
        await pilot.pause(0.5)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await ready(pilot, app)
        for question in questions:
            await ask(pilot, app, question)
        app.save_screenshot(f"chat-{name}.svg", str(FOLDER))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, PrepareScreen))
        await pilot.pause(1.0)
        app.save_screenshot(f"prepare-{name}.svg", str(FOLDER))


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


async def main() -> None:
    """Take every screenshot of the terminal."""
    await take("dark", "playground-dark", (160, 48), QUESTIONS)
    await take("light", "playground-light", (160, 48), QUESTIONS)
    await take("small", "playground-dark", (80, 24), QUESTIONS[:1])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        # Separate folders: the screenshots show the defaults, not the user's own settings.
        for variable in ("CONFIG", "CACHE", "DATA", "STATE"):
            os.environ[f"XDG_{variable}_HOME"] = str(Path(home) / variable.lower())
        take_browser()
        delete_conversations()
        record_session(FOLDER / "session.cast")
        asyncio.run(main())
