"""Models: the list, the filter, the hub, downloads, and engines that go on until the new ones are ready."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Button, Input, Log, Static

from app import engine_swap
from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.log import LogScreen
from app.screens.make_room import MakeRoomScreen
from app.screens.models import ModelsScreen
from app.state.models.model_entry import Section
from app.state.settings.settings import DEMO, EngineChoice, Settings
from app.state.side.phase import Phase
from app.widgets.models.model_list import ModelList
from app.widgets.models.model_picker import ModelPicker
from app.widgets.prepare.error_card import ErrorCard
from engines.demo import CHECKPOINT
from engines.plan.hardware.hardware import Device
from tests.app.driving import ask, playground, toasts, until_chat, until_ready, until_screen, wait_until
from tests.app.screens.preparing import estimate, open_prepare
from tests.doubles.hub import HubDouble

WEIGHTS = "model.safetensors"
WEIGHT_BYTES = (CHECKPOINT / WEIGHTS).stat().st_size


def models(pilot: Pilot[None]) -> ModelList:
    return pilot.app.screen.query_one(ModelList)


def picker(pilot: Pilot[None]) -> ModelPicker:
    return pilot.app.screen.query_one(ModelPicker)


def titles(pilot: Pilot[None], section: Section | None = None) -> list[str]:
    """Return the models of the list."""
    entries = models(pilot).entries
    return [one.title for one in entries if section in (None, one.section)]


def text(pilot: Pilot[None], selector: str) -> str:
    return str(pilot.app.screen.query_one(selector, Static).content)


async def until_chosen(pilot: Pilot[None], name: str) -> None:
    await wait_until(pilot, lambda: picker(pilot).chosen == name and picker(pilot).is_up_to_date)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a model in `models`."""
    folder = tmp_path / "home"
    shutil.copytree(CHECKPOINT, folder / "models" / "mine")
    shutil.copytree(CHECKPOINT, folder / "models" / "org" / "SmolLM2-360M-Instruct")
    monkeypatch.setenv("HOME", str(folder))
    return folder


async def test_the_list_has_what_is_here_and_what_can_be_fetched(settings: Settings, home: Path) -> None:
    """Folders, the demo and suggestions with their fit; suggestions have an estimate without a network."""
    app = playground(replace(settings, checkpoint=DEMO, chosen=False))
    async with app.run_test(size=(160, 48)) as pilot:
        await open_prepare(pilot)
        await wait_until(pilot, lambda: "mine" in titles(pilot))
        assert titles(pilot, Section.DISK) == ["demo", "mine", "SmolLM2-360M-Instruct"]
        assert "Qwen3-0.6B" in titles(pilot, Section.SUGGESTED)
        assert "SmolLM2-360M-Instruct" not in titles(pilot, Section.SUGGESTED), "a copy is in ~/models"
        assert models(pilot).has_focus
        await pilot.press("down")
        await until_chosen(pilot, str(home / "models" / "mine"))
        await pilot.press("down", "down")
        await until_chosen(pilot, "HuggingFaceTB/SmolLM2-135M-Instruct")
        await wait_until(pilot, lambda: "download" in text(pilot, "#enter-plan"))
        assert "257 MiB to download" in text(pilot, "#enter-plan")
        assert "129 MiB" in estimate(pilot)


async def test_a_filter_narrows_the_list(settings: Settings, home: Path) -> None:
    """Any letters in order; Esc clears, and goes back to the list."""
    app = playground(replace(settings, checkpoint=DEMO, chosen=False))
    async with app.run_test(size=(160, 48)) as pilot:
        await open_prepare(pilot)
        await wait_until(pilot, lambda: "mine" in titles(pilot))
        await pilot.press("slash", *"qwn06")
        await wait_until(pilot, lambda: titles(pilot) == ["Qwen3-0.6B"])
        await until_chosen(pilot, "Qwen/Qwen3-0.6B")
        await pilot.press("escape")
        await wait_until(pilot, lambda: "mine" in titles(pilot))
        assert models(pilot).has_focus
        assert isinstance(app.screen, ModelsScreen)


async def test_d_starts_the_demo(settings: Settings) -> None:
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prepare(pilot)
        await pilot.press("d")
        await until_ready(pilot)
        await until_chat(pilot)
        assert app.left.checkpoint_name == DEMO


async def test_a_local_model_is_two_keys_away_and_is_listed_first_the_next_time(
    settings: Settings, home: Path
) -> None:
    app = playground(replace(settings, checkpoint=DEMO, chosen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_prepare(pilot)
        await wait_until(pilot, lambda: "mine" in titles(pilot))
        await pilot.press("down", "enter")
        await until_ready(pilot)
        await until_chat(pilot)
        assert app.left.checkpoint_name == "mine"
        assert app.settings.recent == (str(home / "models" / "mine"),)
        await pilot.press("f2")
        await open_prepare(pilot)
        await wait_until(pilot, lambda: "loaded already" in text(pilot, "#enter-plan"))


async def test_engines_go_on_when_a_model_cannot_be_opened(settings: Settings, tmp_path: Path) -> None:
    """One card for both sides; the engines, the settings and the conversation stay; retry works."""
    app = playground(settings)
    gone = tmp_path / "gone"
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_ready(pilot)
        pids = [side.pid for side in app.sides]
        await pilot.press("f2")
        screen = await open_prepare(pilot)
        shutil.copytree(CHECKPOINT, gone)
        screen.query_one("#checkpoint", Input).value = str(gone)
        await until_chosen(pilot, str(gone))
        (gone / WEIGHTS).write_bytes(b"\x10" * 100)
        screen.action_prepare()
        card = screen.query_one(ErrorCard)
        await wait_until(pilot, lambda: card.display)
        assert card.text.startswith("Model: ")
        assert card.text.count(WEIGHTS) == 1
        assert [side.pid for side in app.sides] == pids
        assert all(side.phase is Phase.READY for side in app.sides)
        assert app.settings.checkpoint == settings.checkpoint
        await pilot.press("f2")
        await until_chat(pilot)
        await ask(pilot, "Hello")
        await pilot.press("f2")
        screen = await open_prepare(pilot)
        assert screen.query_one("#retry", Button).display
        await pilot.click("#open-log")
        await until_screen(pilot, LogScreen)
        await wait_until(pilot, lambda: app.screen.query_one(Log).line_count > 0)
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is screen)
        await pilot.click("#choose-another")
        await wait_until(pilot, lambda: models(pilot).has_focus)


def choose_left(app: Playground, precision: str) -> None:
    app.choose(app.settings.checkpoint, 512, {"left": EngineChoice("openvino", precision)})


async def until_left(pilot: Pilot[None], app: Playground, precision: str) -> None:
    """Wait until the left engine has this precision and is ready."""
    title = f"OpenVINO {precision}"
    await wait_until(pilot, lambda: app.left.title == title and app.left.phase is Phase.READY)


async def test_room_is_asked_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Esc keeps the engine that runs, as a cancelled opening does; Enter unloads it first."""
    app, full = playground(settings), Device("cpu", "cpu", "", None, 1)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_ready(pilot)
        # From here on both are in the store: what was just built would be in memory already.
        choose_left(app, "int4")
        await until_left(pilot, app, "int4")
        kept = app.settings.left
        monkeypatch.setattr(engine_swap, "devices", lambda: (full,))
        choose_left(app, "int8")
        await until_screen(pilot, MakeRoomScreen)
        assert "Unload OpenVINO int4 to make room?" in text(pilot, "#make-room-question")
        await pilot.press("escape")
        await wait_until(pilot, lambda: not app.builds["left"].running)
        assert app.left.title == "OpenVINO int4"
        assert app.settings.left == kept

        choose_left(app, "int8")
        await until_screen(pilot, MakeRoomScreen)
        app.cancel_builds()
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert app.left.title == "OpenVINO int4"

        choose_left(app, "int8")
        await until_screen(pilot, MakeRoomScreen)
        await pilot.press("enter")
        await until_left(pilot, app, "int8")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))


@pytest.mark.timeout(300)
async def test_from_a_search_on_the_hub_to_the_chat(settings: Settings, hub: HubDouble) -> None:
    """The hub is asked only on Enter; estimates exist before the download, which is done by real workers."""
    hub.add("org/tiny-talker", CHECKPOINT)
    hub.add("org/gated-talker", CHECKPOINT, gated="manual", downloads=5)
    app = playground(replace(settings, checkpoint=DEMO, chosen=False))
    async with app.run_test(size=(160, 48)) as pilot:
        await open_prepare(pilot)
        await pilot.press("slash", *"talker")
        await wait_until(pilot, lambda: models(pilot).searches)
        assert hub.requests == []
        await pilot.press("enter")
        await wait_until(pilot, lambda: titles(pilot, Section.HUB) == ["org/tiny-talker", "org/gated-talker"])
        await wait_until(pilot, lambda: picker(pilot).checkpoint is not None)
        assert sum(hub.sent.values()) < 2_000_000
        assert "apache-2.0" in text(pilot, "#checkpoint-facts")
        await wait_until(pilot, lambda: "to download" in text(pilot, "#enter-plan"))
        await pilot.press("down")
        await until_chosen(pilot, "org/gated-talker")
        await wait_until(pilot, lambda: "hf auth login" in text(pilot, "#checkpoint-facts"))
        await pilot.press("up")
        await until_chosen(pilot, "org/tiny-talker")
        await wait_until(pilot, lambda: picker(pilot).checkpoint is not None)
        await pilot.press("enter")
        await until_ready(pilot)
        await until_chat(pilot)
        assert app.left.checkpoint_name == "org/tiny-talker"


@pytest.mark.timeout(300)
async def test_a_download_is_paused_and_resumed(settings: Settings, hub: HubDouble) -> None:
    """Esc keeps what has arrived, Enter continues, and no byte of the weights is sent twice."""
    hub.add("org/tiny-talker", CHECKPOINT)
    hub.stop_after[WEIGHTS] = 4_000_000
    app = playground(replace(settings, checkpoint="org/tiny-talker", chosen=False))
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await until_screen(pilot, ModelsScreen)
        await wait_until(pilot, lambda: not screen.problem)
        screen.query_one("#sides").value = "left"  # type: ignore[attr-defined]
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: "of" in text(pilot, "#build-left .build-stages"))
        build = app.builds["left"]
        await wait_until(pilot, lambda: build.done >= 4_000_000)
        assert "Esc pauses" in text(pilot, "#build-left .build-stages")
        await pilot.press("escape")
        await wait_until(pilot, lambda: not build.running)
        await wait_until(pilot, lambda: text(pilot, "#build-left .build-stages").startswith("Paused: "))
        hub.release()
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: app.left.phase is Phase.READY)
        assert hub.sent[WEIGHTS] == WEIGHT_BYTES


async def test_without_a_network_the_last_results_are_listed(settings: Settings, hub: HubDouble) -> None:
    hub.add("org/tiny-talker", CHECKPOINT)
    app = playground(replace(settings, checkpoint=DEMO, chosen=False))
    async with app.run_test(size=(160, 48)) as pilot:
        await open_prepare(pilot)
        await pilot.press("slash", *"talker", "enter")
        await wait_until(pilot, lambda: titles(pilot, Section.HUB) == ["org/tiny-talker"])
        hub.status = 503
        await pilot.press("slash", *"s", "backspace")
        await pilot.press("escape", "slash", *"other", "enter")
        await wait_until(pilot, lambda: "no earlier results" in models(pilot).note)
        await pilot.press("escape", "slash", *"talker", "enter")
        await wait_until(pilot, lambda: "results of" in models(pilot).note)
        assert titles(pilot, Section.HUB) == ["org/tiny-talker"]
        assert not toasts(app)
