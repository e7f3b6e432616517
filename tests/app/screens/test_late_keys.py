"""Keys that arrive while a screen is composed or removed: several in one go, before the first is handled."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import OptionList

from app.navigation import SCREENS
from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.models import ModelsScreen
from app.widgets.chat.prompt import PromptInput
from tests.app.driving import case, wait_until
from tests.app.still import StillPlayground, chat_answered
from tests.faults.random_keys import key_event

OPENING = ("f1", "f2", "f3", "f4", "f5", "f6", "f8", "f10", "f12", "alt+a", "ctrl+o", "ctrl+p", "ctrl+s")
CLOSED = tuple(name for name in SCREENS if name != "chat")
CHAT_KEYS = ("ctrl+l", "ctrl+n", "ctrl+x", "ctrl+y", "ctrl+r", "ctrl+g", "ctrl+t", "f9", "ctrl+c")
"""Actions of the chat, some of which have priority over what has the focus."""


def press_at_once(pilot: Pilot[None], *keys: str) -> None:
    """Queue keys without waiting between them, as typing ahead does."""
    for key in keys:
        pilot.app.post_message(key_event(key))


async def check_alive(pilot: Pilot[None]) -> None:
    """Go back to the chat, and type there."""
    app = pilot.app
    quiet = 0
    while quiet < 3:  # a task may open a dialog after the keys that would have closed it
        await pilot.pause()
        quiet = quiet + 1 if isinstance(app.screen, ChatScreen) else 0
        if not quiet:
            await pilot.press("escape")
    assert len(app.screen_stack) == 2
    box = app.screen.query_one(PromptInput)
    box.focus()
    box.load_text("")
    await pilot.press("x")
    await wait_until(pilot, lambda: box.text == "x")


@pytest.mark.parametrize("keys", [OPENING[number::3] for number in range(3)], ids=" ".join)
async def test_opened_and_closed_in_one_go(keys: tuple[str, ...]) -> None:
    """With more Esc than screens, with the key itself, several times, and among keys of the chat."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for key in keys:
            for at_once in (
                (key, "escape", "escape", "escape"),
                (key, key, "a", "enter", "escape", "a"),
                (key, "escape") * 3,
                (key, *CHAT_KEYS, "escape", *CHAT_KEYS),
            ):
                with case(at_once):
                    press_at_once(pilot, *at_once)
                    await check_alive(pilot)


async def test_screens_above_others() -> None:
    """Both keys in one go, then more Esc than screens."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for number, first in enumerate(OPENING):
            for second in OPENING[number % 3 :: 3]:
                press_at_once(pilot, first, second, "escape", "escape", "escape")
            await check_alive(pilot)


@pytest.mark.parametrize(
    "keys", [("escape", "escape"), ("f2", "f2", "f2"), ("escape", "ctrl+c", "ctrl+l", "f6", "f6")]
)
async def test_keys_in_one_go_on_the_first_start(keys: tuple[str, ...]) -> None:
    """The chat is composed while they arrive."""
    app = StillPlayground("playground-dark", chosen=False)
    async with app.run_test(size=(80, 24)) as pilot:
        assert isinstance(app.screen, ModelsScreen)
        press_at_once(pilot, *keys)
        await check_alive(pilot)


@pytest.mark.parametrize("names", [CLOSED[number::3] for number in range(3)], ids=" ".join)
async def test_a_screen_is_closed_before_it_is_composed(names: tuple[str, ...]) -> None:
    """Its widgets then never get children, and are asked for them: Textual's header for its title."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)

        async def open_and_close(name: str, steps: int) -> None:
            app.navigation.open(name)
            for _ in range(steps):  # of the event loop
                await asyncio.sleep(0)
            # While the one before is still being removed, no other one is opened above the chat.
            if not isinstance(app.screen, ChatScreen):
                app.screen.dismiss()

        for name in names:
            with case(name):
                for steps in range(12):
                    app.run_worker(open_and_close(name, steps))
                    await pilot.pause()
                await check_alive(pilot)


async def test_a_query_of_a_palette_that_is_being_removed() -> None:
    """What Textual's palette does with a key that was queued before Esc."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        await pilot.press("ctrl+p")
        await wait_until(pilot, lambda: bool(app.screen.query("CommandInput")))
        palette = app.screen
        palette.dismiss()
        while palette.children:
            palette.call_later(palette.query_one, "CommandList")
            await asyncio.sleep(0)
        for node in (app, app.screen):
            node.call_later(palette.query_one, "CommandList")
        await check_alive(pilot)


async def test_the_palette_is_closed_while_it_searches() -> None:
    """A letter, and Esc before the search for it has begun, is running or has found nothing."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for number in range(20):
            press_at_once(pilot, "ctrl+p", "z" if number % 2 else "s")
            if number % 3:
                await pilot.pause(0.1 * (number % 7))  # moments of a search, which ends after half a second
            press_at_once(pilot, "q", "escape", "x", "escape")
            await pilot.pause()
        await check_alive(pilot)


async def test_the_palette_is_opened_again_before_it_is_removed() -> None:
    """Screens with the same id cannot exist together."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)

        def reopen() -> None:
            app.action_command_palette()
            app.screen.dismiss()
            app.action_command_palette()

        app.call_later(reopen)
        await pilot.pause()
        await check_alive(pilot)


async def test_the_app_closes_the_palette_itself() -> None:
    """As at the end of a build, in the middle of a search."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for wait in (0.0, 0.05, 0.3, 0.6):
            press_at_once(pilot, "ctrl+p", "z")
            await pilot.pause(wait)
            press_at_once(pilot, "q")
            app.call_later(app.show_chat)
            await pilot.pause()
            await pilot.pause(0.7)  # longer than the palette waits before it says that nothing was found
        await check_alive(pilot)


async def test_a_dialog_closes_itself_only() -> None:
    """A second `dismiss` would close the screen below."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        await pilot.press("f3")
        await pilot.pause()
        closed: Screen[object] = app.screen
        for _ in range(3):
            closed.dismiss()
        await check_alive(pilot)


async def test_keys_while_the_app_quits() -> None:
    """They arrive after the last screen has been closed."""
    app = Playground(StillPlayground("playground-dark", chosen=False).settings)
    async with app.run_test(size=(80, 24)) as pilot:
        press_at_once(pilot, "ctrl+q", *OPENING, "x", "escape")
        app.post_message(events.Resize(app.size, app.size))
        await wait_until(pilot, lambda: app.return_code is not None)
        press_at_once(pilot, *OPENING, "x", "escape")
    assert app.return_code == 0


async def test_keys_for_a_list_that_has_no_room() -> None:
    """Before it is laid out, and on a terminal that is too small for it."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        press_at_once(pilot, "ctrl+p", "pagedown", "pageup", "down", "end", "home", "enter")
        await check_alive(pilot)
        press_at_once(pilot, "ctrl+p", "a", "pagedown", "b", "pageup")
        await check_alive(pilot)
        for key in ("f6", "f3"):
            press_at_once(pilot, key, "pagedown", "pageup", "tab", "pagedown", "tab", "pagedown", "pageup")
            await pilot.pause()
            await pilot.resize_terminal(12, 2)
            app.screen.query_one(OptionList).focus()
            press_at_once(pilot, "pagedown", "pageup", "down", "end", "home", "pageup")
            await pilot.pause()
            await pilot.resize_terminal(80, 24)
            await check_alive(pilot)
