"""Where the keys of every screen and widget are pressed; `test_key_table.py` presses them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.binding import Binding
from textual.dom import DOMNode
from textual.pilot import Pilot

import app
from app.playground import Playground
from app.screens.blind import BlindScreen
from app.screens.chat import ChatScreen
from app.screens.choose import ChooseScreen
from app.screens.compare import CompareScreen
from app.screens.conversations import ConversationsScreen
from app.screens.export import ExportScreen, PathInput
from app.screens.file import FileInput, FileScreen
from app.screens.go_to import GoToScreen
from app.screens.help import HelpScreen
from app.screens.inspect import InspectScreen
from app.screens.load import LoadScreen
from app.screens.log import LogScreen
from app.screens.make_room import MakeRoomScreen
from app.screens.models import ModelsScreen
from app.screens.name import NameScreen
from app.screens.quality import QualityScreen
from app.screens.replay import ReplayScreen
from app.screens.sampling import SamplingScreen
from app.screens.server import SavedServers, ServerScreen
from app.screens.settings import SettingsScreen
from app.screens.store import StoreScreen
from app.screens.support import SupportScreen
from app.state.conversation.attachment import Attachment
from app.state.conversation.conversation import Conversation
from app.state.conversation.conversation_file import ConversationFile
from app.state.settings.paths import conversation_folder, engine_store
from app.state.settings.settings import Server
from app.state.side.phase import Phase
from app.widgets.chat.attachment_list import AttachmentItem, AttachmentList
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.transcript.transcript import Transcript
from app.widgets.compare.answer_heat import AnswerHeat
from app.widgets.forms.conversation_list import ConversationList
from app.widgets.inspect.row_table import RowTable
from app.widgets.models.model_list import ModelList
from app.widgets.panels.kv_blocks import KVBlocksPanel
from app.widgets.panels.panel import Panel
from app.widgets.prepare.precision_list import PrecisionList
from app.widgets.quality.quality_table import QualityTable
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from tests.app.driving import is_composed, until_finished, wait_until
from tests.app.still import StillPlayground, set_phase, still_store, stored, turn
from tests.engines.inspect.layers import write_layers


class RecordingPlayground(StillPlayground):
    """Records actions instead of running them, while `is_recording` is set."""

    recorded: list[str]
    is_recording = False

    # Private, but the only place that every action passes: of a key, a click, the palette and the footer.
    async def _dispatch_action(self, namespace: DOMNode, action_name: str, params: Any) -> bool:
        if not self.is_recording or action_name.startswith("scroll_"):  # may pass the key to another widget
            return await super()._dispatch_action(namespace, action_name, params)
        assert hasattr(namespace, f"action_{action_name}") or hasattr(namespace, f"_action_{action_name}")
        self.recorded.append(action_name)
        return True


@dataclass(frozen=True)
class Place:
    """Where the keys of a class are pressed."""

    bound: type[DOMNode]
    """The class that binds the keys."""
    keys: tuple[str, ...] = ()
    """Keys that lead there from the chat."""
    focus: str = ""
    """Selector of the widget to focus; empty for the default focus."""
    prepare: Callable[[Pilot[None]], Awaitable[None]] | None = None
    """Called before the keys are pressed."""
    only: tuple[str, ...] = ()
    """Keys to test with this focus; empty for all."""
    but: tuple[str, ...] = ()
    """Keys that need another focus."""

    @property
    def bindings(self) -> list[tuple[str, str]]:
        """Pairs of a key and the name of its action."""
        own = [one for one in vars(self.bound)["BINDINGS"] if isinstance(one, Binding)]
        keys = [(key, one.action.partition("(")[0]) for one in own for key in one.key.split(",")]
        return [
            (key, action.rpartition(".")[2])
            for key, action in keys
            if key not in self.but and (not self.only or key in self.only)
        ]


async def attach(pilot: Pilot[None]) -> None:
    """Attach a pasted text to the prompt."""
    await pilot.app.screen.query_one(AttachmentList).show((Attachment("", "a pasted text"),), {})


async def fail(pilot: Pilot[None]) -> None:
    """Let the left side fail, as F9 needs a failed side."""
    assert isinstance(pilot.app, Playground)
    set_phase(pilot.app.left, Phase.FAILED)
    await pilot.pause()


async def save_conversation(pilot: Pilot[None]) -> None:
    """Save a conversation."""
    conversation = Conversation()
    conversation.add(turn("left"))
    ConversationFile(conversation_folder()).append_turn("left", conversation)


async def differ(pilot: Pilot[None]) -> None:
    """Let the sides answer differently, so that there is something to vote on."""
    assert isinstance(pilot.app, Playground)
    for one in pilot.app.right.conversation.turns:
        one.answer = "Another answer."


async def choose(pilot: Pilot[None]) -> None:
    """Open a list."""
    await pilot.app.push_screen(ChooseScreen("An engine", ["OpenVINO int8"], "Enter adds it."))


async def save_server(pilot: Pilot[None]) -> None:
    """Save a server."""
    assert isinstance(pilot.app, Playground)
    pilot.app.change_settings(servers={"desk": Server("http://127.0.0.1:9/v1")})


async def ask_for_room(pilot: Pilot[None]) -> None:
    """Ask whether an engine may be unloaded."""
    await pilot.app.push_screen(MakeRoomScreen(("OpenVINO int8",), 1 << 30))


async def open_log(pilot: Pilot[None]) -> None:
    """Open a log."""
    await pilot.app.push_screen(LogScreen(Path("/nowhere/left.log")))


async def build(pilot: Pilot[None]) -> None:
    """Put an engine into the store."""
    assert isinstance(pilot.app, Playground)
    pilot.app.store = still_store(stored("int8", 1 << 20, 3.0))


async def inspect(pilot: Pilot[None]) -> None:
    """Open the inspector of an engine with layers, and show them."""
    with (store := EngineStore(engine_store())).building({}) as folder:
        write_layers(folder)
        entry = store.commit(folder, EngineSpec("/models/tiny", "openvino", "int8"), {}, {}, 1.0)
    await pilot.app.push_screen(InspectScreen(entry))
    await until_finished(pilot, "read")
    await pilot.press("left_square_bracket")
    await wait_until(pilot, lambda: bool(pilot.app.screen.query_one(RowTable).rows))


PLACES = (
    Place(Playground, focus="#turns-left", prepare=fail),
    Place(ChatScreen),
    Place(PromptInput),
    Place(AttachmentItem, focus="AttachmentItem", prepare=attach),
    Place(Transcript, focus="#turns-left"),
    Place(Pane, focus="#turns-left"),
    Place(Panel, focus="MemoryPanel"),
    Place(KVBlocksPanel, focus="KVBlocksPanel"),
    Place(FileScreen, ("ctrl+o",)),
    Place(FileInput, ("ctrl+o",)),
    Place(HelpScreen, ("f1",)),
    Place(GoToScreen, ("ctrl+s",)),
    Place(ModelsScreen, ("f2",)),
    Place(ModelList, ("f2",)),
    # C needs calibration: test_prepare_options.py
    Place(PrecisionList, ("f2",), "#engine-left .precisions", but=("c",)),
    Place(ServerScreen, ("f2", "s")),
    Place(SavedServers, ("f2", "s"), "#server-saved", save_server),
    Place(MakeRoomScreen, prepare=ask_for_room),
    Place(LogScreen, prepare=open_log),
    Place(BlindScreen, ("alt+a",), prepare=differ),
    Place(LoadScreen, ("alt+l",)),
    Place(ConversationsScreen, ("f3",), prepare=save_conversation, but=("down",)),
    Place(ConversationsScreen, ("f3",), "Input", save_conversation, only=("down",)),
    Place(ConversationList, ("f3",), prepare=save_conversation),
    Place(ReplayScreen, ("f3", "p"), prepare=save_conversation),
    Place(NameScreen, ("f3", "r"), prepare=save_conversation),
    Place(ExportScreen, ("f3", "e"), prepare=save_conversation),
    Place(PathInput, ("f3", "e"), prepare=save_conversation),
    Place(SamplingScreen, ("f4",)),
    Place(SettingsScreen, ("f6",)),
    Place(StoreScreen, ("f8",), prepare=build),
    Place(InspectScreen, prepare=inspect, but=("down",)),
    Place(InspectScreen, focus="Input", prepare=inspect, only=("down",)),
    Place(SupportScreen, ("f2", "f12")),
    Place(CompareScreen, ("f5",)),
    Place(AnswerHeat, ("f5",)),
    Place(ChooseScreen, prepare=choose),
    Place(QualityScreen, ("f10",)),
    Place(QualityTable, ("f10",)),
)


def bound_classes() -> Iterator[type[DOMNode]]:
    """Yield every class of the app that defines key bindings."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name != "app.__main__":
            for one in vars(importlib.import_module(module.name)).values():
                if isinstance(one, type) and one.__module__ == module.name and vars(one).get("BINDINGS"):
                    yield one


def test_every_class_with_keys_has_a_place() -> None:
    """A screen or widget with new keys must be added above."""
    assert set(bound_classes()) == {place.bound for place in PLACES}


async def go(pilot: Pilot[None], place: Place) -> None:
    """Go from the chat to where the keys of a class are pressed."""
    for key in place.keys:
        before = pilot.app.screen
        await pilot.press(key)
        await wait_until(pilot, lambda before=before: pilot.app.screen is not before)  # type: ignore[misc]
        await wait_until(pilot, lambda: is_composed(pilot.app.screen))
        for listed in pilot.app.screen.query(ConversationList):
            await wait_until(pilot, lambda listed=listed: listed.option_count > 0)  # type: ignore[misc]
    if place.focus:
        pilot.app.screen.query(place.focus).first().focus()
        await pilot.pause()
