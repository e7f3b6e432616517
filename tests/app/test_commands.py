"""The command palette: every line of its table runs, chosen as a user chooses it."""

from __future__ import annotations

import pytest
from textual.command import CommandInput, CommandList, CommandPalette
from textual.pilot import Pilot

from app.commands import COMMANDS, Command
from app.screens.chat import ChatScreen
from app.screens.prepare import PrepareScreen
from app.screens.store import StoreScreen
from tests.app.driving import wait_until
from tests.app.still import StillPlayground, chat_answered

PLACES = {"": ChatScreen, "ChatScreen": ChatScreen, "PrepareScreen": PrepareScreen}
"""Where a command is chosen, by the screen that its row names."""


async def choose(pilot: Pilot[None], command: Command) -> None:
    """Open the palette, type a command's title, and press Enter on what it finds."""
    await pilot.press("ctrl+p")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
    palette = pilot.app.screen
    palette.query_one(CommandInput).value = command.title
    listed = palette.query_one(CommandList)

    def found() -> bool:
        return listed.option_count > 0 and command.title in str(listed.get_option_at_index(0).prompt)

    await wait_until(pilot, found)
    await pilot.press("enter", "enter") if listed.highlighted is None else await pilot.press("enter")
    await wait_until(pilot, lambda: not isinstance(pilot.app.screen, CommandPalette))
    await pilot.pause(0.2)


async def back(pilot: Pilot[None], screens: int) -> None:
    """To where the command was chosen."""
    while len(pilot.app.screen_stack) > screens:
        pilot.app.pop_screen()
        await pilot.pause()


@pytest.mark.parametrize("place", ["ChatScreen", "PrepareScreen"])
async def test_every_command_runs_from_the_palette(place: str) -> None:
    """With two answered turns and no engine: what has nothing to do says so, and nothing breaks."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await chat_answered(pilot)
        if place == "PrepareScreen":
            await pilot.press("f2")
        await wait_until(pilot, lambda: isinstance(app.screen, PLACES[place]))
        screens = len(app.screen_stack)
        for command in COMMANDS:
            if command.screen == place or (command.screen == "" and place == "ChatScreen"):
                await choose(pilot, command)
                said = [one.message for one in app._notifications]
                assert not [words for words in said if "went wrong" in words], command.title
                await back(pilot, screens)


def test_every_command_names_a_screen_that_there_is() -> None:
    """A row for a screen that this test does not know would never be tried."""
    assert {command.screen for command in COMMANDS} <= set(PLACES)
    assert len({command.title for command in COMMANDS}) == len(COMMANDS)


async def test_a_command_is_offered_where_it_works_only() -> None:
    """What belongs to the chat is not in the palette of the store."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f8")
        await wait_until(pilot, lambda: isinstance(app.screen, StoreScreen))
        offered = {one.title for one in app.get_system_commands(app.screen)}
        assert {command.title for command in COMMANDS if not command.screen} <= offered
        assert not {command.title for command in COMMANDS if command.screen} & offered
