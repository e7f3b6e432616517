"""Every screen closes with Esc and with the key that opened it, and the chat is unchanged."""

from __future__ import annotations

from app.screens.attach import AttachScreen
from app.screens.blind import BlindScreen
from app.screens.chat import ChatScreen
from app.screens.compare import CompareScreen
from app.screens.conversations import ConversationsScreen
from app.screens.go_to import GoToScreen
from app.screens.help import HelpScreen
from app.screens.models import ModelsScreen
from app.screens.playground_screen import PlaygroundScreen
from app.screens.quality import QualityScreen
from app.screens.sampling import SamplingScreen
from app.screens.settings import SettingsScreen
from app.screens.store import StoreScreen
from app.screens.support import SupportScreen
from app.widgets.chat.prompt import PromptInput
from tests.app.driving import case, until_screen, wait_until
from tests.app.still import StillPlayground, chat_answered

SCREENS = (
    ("f1", HelpScreen, ("escape", "f1", "q")),
    ("f2", ModelsScreen, ("escape", "f2")),
    ("ctrl+s", GoToScreen, ("escape", "ctrl+s")),
    ("f5", CompareScreen, ("escape", "f5")),
    ("f3", ConversationsScreen, ("escape", "f3")),
    ("f4", SamplingScreen, ("escape", "f4")),
    ("f6", SettingsScreen, ("escape", "f6")),
    ("f8", StoreScreen, ("escape", "f8")),
    ("f10", QualityScreen, ("escape", "f10")),
    ("f12", SupportScreen, ("escape", "f12")),
    ("alt+a", BlindScreen, ("escape", "alt+a")),
    ("ctrl+o", AttachScreen, ("escape",)),
)


async def test_every_closing_key() -> None:
    """The text in the prompt is kept."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await chat_answered(pilot)
        prompt = app.screen.query_one(PromptInput)
        prompt.load_text("half a prompt")
        for key, screen, closing_keys in SCREENS:
            for closing_key in closing_keys:
                with case(f"{key}, {closing_key}"):
                    await pilot.press(key)
                    await until_screen(pilot, screen)
                    await pilot.press(closing_key)
                    await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
                    assert prompt.text == "half a prompt"


async def test_screens_above_screens() -> None:
    """Backend support and the store over Prepare, sampling over the settings: each closes one screen."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await chat_answered(pilot)
        for below, key, above, closing_key in (
            ("f2", "f12", SupportScreen, "f12"),
            ("f2", "f12", SupportScreen, "escape"),
            ("f2", "f8", StoreScreen, "f8"),
            ("f6", "f4", SamplingScreen, "escape"),
        ):
            await pilot.press(below)
            await wait_until(pilot, lambda: not isinstance(app.screen, ChatScreen))
            middle = await until_screen(pilot, PlaygroundScreen)
            await pilot.press(key)
            await until_screen(pilot, above)
            await pilot.press(closing_key)
            await wait_until(pilot, lambda middle=middle: app.screen is middle)  # type: ignore[misc]
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))


async def test_a_new_line() -> None:
    """Ctrl+J and Alt+Enter work in every terminal, Shift+Enter in some."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await chat_answered(pilot)
        prompt = app.screen.query_one(PromptInput)
        for key in ("ctrl+j", "alt+enter", "shift+enter"):
            prompt.load_text("")
            await pilot.press("a", key, "b")
            assert prompt.text == "a\nb", key
