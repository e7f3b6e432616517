"""The command palette: every command of the table runs when it is chosen in the palette."""

from __future__ import annotations

import re

import pytest
from textual.command import CommandInput, CommandList, CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen

from app.commands import COMMANDS, Command
from app.keys import textual_name
from app.screens.chat import ChatScreen
from app.screens.models import ModelsScreen
from app.screens.store import StoreScreen
from app.state.side.snapshot import Phase
from tests.app.driving import is_composed, until_screen, wait_until
from tests.app.still import StillPlayground, chat_answered, set_phase

SCREENS = (ChatScreen, ModelsScreen)
"""Screens with commands; each command is chosen on the first that has it."""
KEY = re.compile(r"\(((?:\w+\+)?\w+)(?:, .*)?\)$")


async def choose(pilot: Pilot[None], command: Command) -> None:
    """Open the palette, type a command's title, and press Enter on the match."""
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
    await wait_until(pilot, lambda: is_composed(pilot.app.screen))


async def back(pilot: Pilot[None], screens: int) -> None:
    """Close screens until `screens` are left."""
    while len(pilot.app.screen_stack) > screens:
        pilot.app.pop_screen()
        await pilot.pause()


@pytest.mark.parametrize("kind", SCREENS, ids=lambda kind: kind.__name__)
async def test_every_command_runs_from_the_palette(kind: type[Screen[None]]) -> None:
    """With two answered turns and no engine, no command fails."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await chat_answered(pilot)
        if kind is ModelsScreen:
            await pilot.press("f2")
        await wait_until(pilot, lambda: isinstance(app.screen, kind))
        screens = len(app.screen_stack)
        for command in COMMANDS:
            if command.is_available(kind) and (kind is ChatScreen or not command.is_available(ChatScreen)):
                await choose(pilot, command)
                assert "went wrong" not in " ".join(app.notified), command.title
                await back(pilot, screens)


@pytest.mark.parametrize("kind", SCREENS, ids=lambda kind: kind.__name__)
async def test_keys_in_the_palette_are_bound(kind: type[Screen[None]]) -> None:
    """A key in the help of a command is bound on every screen that offers the command."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await chat_answered(pilot)
        set_phase(app.left, Phase.FAILED)  # F9 is active only while a side has failed
        if kind is ModelsScreen:
            await pilot.press("f2")
        await until_screen(pilot, kind)
        for command in COMMANDS:
            key = KEY.search(command.help) if command.is_available(kind) else None
            assert not key or textual_name(key[1]) in app.screen.active_bindings, command.help


def test_every_command_is_available_on_a_screen() -> None:
    """A command that none of these screens has would not be tested above."""
    assert all(any(command.is_available(kind) for kind in SCREENS) for command in COMMANDS)
    assert len({command.title for command in COMMANDS}) == len(COMMANDS)


async def test_a_command_is_offered_only_where_it_is_available() -> None:
    """The palette of the store has the app's commands, but none of the chat's."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f8")
        await wait_until(pilot, lambda: isinstance(app.screen, StoreScreen))
        offered = {command.title for command in app.get_system_commands(app.screen)}
        own = {command.title for command in COMMANDS if command.action.startswith("app.")}
        assert offered & {command.title for command in COMMANDS} == own
