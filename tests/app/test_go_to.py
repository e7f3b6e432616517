"""The main screens by digit, by Alt and a digit, by tab, and by the menu of Ctrl+S."""

from __future__ import annotations

import pytest
from textual.widgets import OptionList

from app.keys import MAIN, PLACES
from app.screens.blind import BlindScreen
from app.screens.chat import ChatScreen
from app.screens.compare import CompareScreen
from app.screens.conversations import ConversationsScreen
from app.screens.go_to import GoToScreen
from app.screens.help import HelpScreen
from app.screens.load import LoadScreen
from app.screens.models import ModelsScreen
from app.screens.quality import QualityScreen
from app.screens.sampling import SamplingScreen
from app.screens.settings import SettingsScreen
from app.screens.store import StoreScreen
from app.screens.support import SupportScreen
from app.widgets.chat.prompt import PromptInput
from app.widgets.tab_header import ScreenTab
from tests.app.driving import case, until_screen
from tests.app.still import StillPlayground, back_to_chat, chat_answered

SCREENS = (ModelsScreen, ChatScreen, CompareScreen, QualityScreen)
PREFIXES = ((), ("ctrl+s",))
BY_LETTER = {
    "1": ModelsScreen,
    "2": ChatScreen,
    "3": CompareScreen,
    "4": QualityScreen,
    "c": ConversationsScreen,
    "s": SamplingScreen,
    "v": BlindScreen,
    "e": StoreScreen,
    "b": SupportScreen,
    "l": LoadScreen,
    "t": SettingsScreen,
    "h": HelpScreen,
}


@pytest.mark.parametrize("keys", [lambda n: (f"alt+{n}",), lambda n: ("ctrl+s", f"{n}")], ids=["alt", "menu"])
async def test_from_every_screen_to_every_screen(keys) -> None:  # type: ignore[no-untyped-def]
    """Also while a text field has the focus; screens do not pile up, and the prompt is kept."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        app.screen.query_one(PromptInput).load_text("half a prompt")
        for start in range(1, 5):
            for number in (*range(1, 5), start):
                await pilot.press(*keys(number))
                await until_screen(pilot, SCREENS[number - 1])
                assert len(app.screen_stack) <= 3
        await pilot.press(*keys(2))
        await until_screen(pilot, ChatScreen)
        assert len(app.screen_stack) == 2
        assert app.screen.query_one(PromptInput).text == "half a prompt"


async def test_digits_go_there_unless_a_text_is_typed() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        await pilot.press("3")
        assert app.screen.query_one(PromptInput).text == "3"
        app.screen.query_one("#turns-left").focus()
        for number in (3, 4, 3, 2):
            await pilot.press(f"{number}")
            await until_screen(pilot, SCREENS[number - 1])
        assert len(app.screen_stack) == 2


async def test_a_click_on_a_tab_opens_its_screen() -> None:
    """The tabs and the screen's text fit into 80 columns."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for number in (4, 3, 1, 2):
            tabs = list(app.screen.query(ScreenTab))
            assert [str(tab.content) for tab in tabs] == ["1 Models", "2 Chat", "3 Compare", "4 Quality"]
            assert tabs[-1].region.right <= 60
            await pilot.click(tabs[number - 1])
            screen = await until_screen(pilot, SCREENS[number - 1])
            [current] = screen.query(".-current")
            assert str(current.render()).startswith(f"{number} ") or f"{number} " in str(current.content)


async def test_from_screens_above_others() -> None:
    """From a screen above the chat, and above Models on the first start."""
    for chosen in (True, False):
        app = StillPlayground("playground-dark", chosen=chosen)
        async with app.run_test(size=(80, 24)) as pilot:
            for keys in (("f3",), ("f6", "f4"), ("f8", "f12")):
                await pilot.press(*keys, "alt+4")
                await until_screen(pilot, QualityScreen)
                await pilot.press("alt+1")
                await until_screen(pilot, ModelsScreen)
                assert len(app.screen_stack) <= 3
            await pilot.press("alt+2")
            await until_screen(pilot, ChatScreen)
            assert len(app.screen_stack) == 2


async def test_every_letter_of_the_menu() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for letter, screen in BY_LETTER.items():
            with case(letter):
                await back_to_chat(pilot)
                await pilot.press("ctrl+s", letter)
                await until_screen(pilot, screen)


def test_the_letters_tested_are_those_of_the_screens() -> None:
    opened = {place.key for place in PLACES if place.action.startswith("app.open(")}
    assert opened == set(BY_LETTER)
    assert MAIN == ("models", "chat", "compare", "quality")


async def test_the_menu_fits_and_takes_enter_and_clicks() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        await pilot.press("ctrl+s")
        menu = await until_screen(pilot, GoToScreen)
        listed = menu.query_one(OptionList)
        assert listed.option_count == len(PLACES) == listed.size.height
        await pilot.press("down", "down", "enter")
        await until_screen(pilot, CompareScreen)
        await pilot.press("ctrl+s", "ctrl+s")
        await until_screen(pilot, CompareScreen)


async def test_a_new_conversation_from_anywhere() -> None:
    """The old one is not lost: it was saved with its first turn."""
    for keys in (("ctrl+n",), ("ctrl+s", "n"), ("f8", "ctrl+n")):
        app = StillPlayground("playground-dark", chosen=True)
        async with app.run_test(size=(80, 24)) as pilot:
            await chat_answered(pilot)
            await pilot.press("ctrl+l")
            assert app.left.conversation.turns
            await pilot.press(*keys)
            await until_screen(pilot, ChatScreen)
            await pilot.pause()
            assert not app.left.conversation.turns


async def test_redraw_writes_every_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        compositor, whole = app.screen._compositor, []
        full = compositor.render_full_update
        monkeypatch.setattr(compositor, "render_full_update", lambda **a: whole.append(1) or full(**a))  # type: ignore[func-returns-value]
        await pilot.press("ctrl+l")
        await pilot.pause()
        assert whole


async def test_redo_and_cut_stay_with_the_prompt() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        prompt = app.screen.query_one(PromptInput)
        await pilot.press(*"ab", "ctrl+z")
        undone = prompt.text
        await pilot.press("ctrl+y")
        assert (undone, prompt.text) == ("", "ab")
        assert app.clipboard == ""
        await pilot.press("ctrl+y")
        assert app.clipboard == app.left.conversation.turns[-1].answer
        left = app.left
        await pilot.press("shift+left", "ctrl+x")
        assert prompt.text == "a"
        assert app.left is left
