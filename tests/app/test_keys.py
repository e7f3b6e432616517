"""Every key of every screen and widget reaches its action from where it is shown: none is swallowed.

What the actions do is tested beside each screen. Here they are only noted, so that one app takes all keys.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from textual.binding import Binding
from textual.dom import DOMNode
from textual.pilot import Pilot

import app
from app.navigation import Navigation
from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.conversations import ConversationsScreen
from app.screens.export import ExportScreen, PathInput
from app.screens.file import FileInput, FileScreen
from app.screens.help import HelpScreen
from app.screens.name import NameScreen
from app.screens.prepare import PrepareScreen
from app.screens.sampling import SamplingScreen
from app.screens.settings import SettingsScreen
from app.screens.store import StoreScreen
from app.screens.support import SupportScreen
from app.state.conversation.attachment import Attachment
from app.state.conversation.conversation import Conversation
from app.state.conversation.conversation_file import ConversationFile
from app.state.settings.paths import conversation_folder
from app.state.side.snapshot import Phase
from app.widgets.chat.attachment_list import AttachmentItem, AttachmentList
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.transcript.transcript import Transcript
from app.widgets.forms.conversation_list import ConversationList
from app.widgets.panels.panel import Panel
from app.widgets.prepare.precision_list import PrecisionList
from tests.app.driving import wait_until
from tests.app.still import StillPlayground, chat_answered, stand, still_store, stored, turn


class NotingPlayground(StillPlayground):
    """Notes what a key would do, and does nothing."""

    noted: list[str]
    notes = False

    async def _dispatch_action(self, namespace: DOMNode, action_name: str, params: Any) -> bool:
        if not self.notes or action_name.startswith("scroll_"):  # those pass the key on where nothing scrolls
            return await super()._dispatch_action(namespace, action_name, params)
        assert hasattr(namespace, f"action_{action_name}") or hasattr(namespace, f"_action_{action_name}")
        self.noted.append(action_name)
        return True


@dataclass(frozen=True)
class Place:
    """Where keys are pressed."""

    bound: type[DOMNode]
    """The class that has the keys."""
    keys: tuple[str, ...] = ()
    """What leads there from the chat."""
    focus: str = ""
    """What must have the focus; else what has it by itself."""
    prepare: Callable[[Pilot[None]], Awaitable[None]] | None = None
    """What must be there first."""
    only: tuple[str, ...] = ()
    """The keys that are for this focus."""
    but: tuple[str, ...] = ()
    """The keys that are for another one."""

    @property
    def bindings(self) -> list[tuple[str, str]]:
        """Each key with the name of its action."""
        own = [one for one in vars(self.bound)["BINDINGS"] if isinstance(one, Binding)]
        keys = [(key, one.action.partition("(")[0]) for one in own for key in one.key.split(",")]
        return [
            (key, action.rpartition(".")[2])
            for key, action in keys
            if key not in self.but and (not self.only or key in self.only)
        ]


async def attach(pilot: Pilot[None]) -> None:
    """Something goes with the prompt."""
    await pilot.app.screen.query_one(AttachmentList).show((Attachment("", "a pasted text"),), {})


async def fail(pilot: Pilot[None]) -> None:
    """F9 is there for a side that failed."""
    assert isinstance(pilot.app, Playground)
    stand(pilot.app.left, Phase.FAILED)
    await pilot.pause()


async def say(pilot: Pilot[None]) -> None:
    """A conversation is saved."""
    conversation = Conversation()
    conversation.add(turn("left"))
    ConversationFile(conversation_folder()).append_turn("left", conversation)


async def build(pilot: Pilot[None]) -> None:
    """An engine is in the store."""
    assert isinstance(pilot.app, Playground)
    pilot.app.store = still_store(stored("int8", 1 << 20, 3.0))


PLACES = (
    Place(Playground),
    Place(Navigation),
    Place(ChatScreen, prepare=fail),
    Place(PromptInput),
    Place(AttachmentItem, focus="AttachmentItem", prepare=attach),
    Place(Transcript, focus="#turns-left"),
    Place(Pane, focus="#turns-left"),
    Place(Panel, focus="MemoryPanel"),
    Place(FileScreen, ("ctrl+o",)),
    Place(FileInput, ("ctrl+o",)),
    Place(HelpScreen, ("f1",)),
    Place(PrepareScreen, ("f2",)),
    Place(PrecisionList, ("f2",), but=("c",)),  # where something is calibrated: test_prepare_options.py
    Place(ConversationsScreen, ("f3",), prepare=say, but=("down",)),
    Place(ConversationsScreen, ("f3",), "Input", say, only=("down",)),
    Place(ConversationList, ("f3",), prepare=say),
    Place(NameScreen, ("f3", "r"), prepare=say),
    Place(ExportScreen, ("f3", "e"), prepare=say),
    Place(PathInput, ("f3", "e"), prepare=say),
    Place(SamplingScreen, ("f4",)),
    Place(SettingsScreen, ("f6",)),
    Place(StoreScreen, ("f8",), prepare=build),
    Place(SupportScreen, ("f2", "f12")),
)


def bound_classes() -> Iterator[type[DOMNode]]:
    """Every class of the app that has keys of its own."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name != "app.__main__":
            for one in vars(importlib.import_module(module.name)).values():
                if isinstance(one, type) and one.__module__ == module.name and vars(one).get("BINDINGS"):
                    yield one


def test_every_class_with_keys_has_a_place() -> None:
    """A screen or a widget with new keys is added above."""
    assert set(bound_classes()) == {place.bound for place in PLACES}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.bound.__name__)
async def test_every_key_reaches_its_action(place: Place) -> None:
    """From its place, with everything there that the key is for."""
    playground = NotingPlayground("playground-dark", chosen=True)
    async with playground.run_test(size=(120, 48)) as pilot:
        await chat_answered(pilot)
        if place.prepare:
            await place.prepare(pilot)
        await _go(pilot, place)
        for key, action in place.bindings:
            playground.noted, playground.notes = [], True
            await pilot.press(key)
            playground.notes = False
            assert action in playground.noted, f"{key} does {playground.noted or 'nothing'}, not {action}"


async def _go(pilot: Pilot[None], place: Place) -> None:
    for key in place.keys:
        before = pilot.app.screen
        await pilot.press(key)
        await wait_until(pilot, lambda before=before: pilot.app.screen is not before)  # type: ignore[misc]
        await pilot.pause(0.2)
        for listed in pilot.app.screen.query(ConversationList):
            await wait_until(pilot, lambda listed=listed: listed.option_count > 0)  # type: ignore[misc]
    if place.focus:
        pilot.app.screen.query(place.focus).first().focus()
        await pilot.pause()
