"""Prepare: choosing, building, cancelling, failing."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Button, Input, OptionList, Static

from app.screens.chat import ChatScreen
from app.screens.models import ModelsScreen
from app.screens.store import StoreScreen
from app.state.settings.settings import EngineChoice, Settings
from app.state.side.phase import Phase
from app.widgets.models.model_picker import ModelPicker
from app.widgets.prepare.build_progress import BuildProgress
from app.widgets.prepare.engine_picker import EnginePicker
from app.widgets.prepare.error_card import ErrorCard
from app.widgets.prepare.precision_list import PrecisionList
from tests.app.driving import playground, until_chat, until_ready, wait_until
from tests.app.screens.preparing import open_prepare
from tests.engines.tiny import make_checkpoint


def note(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen.query_one("#store-note", Static).content)


async def choose_checkpoint(pilot: Pilot[None], name: str) -> ModelPicker:
    picker = pilot.app.screen.query_one(ModelPicker)
    pilot.app.screen.query_one("#checkpoint", Input).value = name
    await wait_until(pilot, lambda: picker.chosen == name)
    return picker


async def test_first_start_opens_on_prepare(settings: Settings) -> None:
    """The list of models has the focus, on the demo, so that Enter builds both engines."""
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_prepare(pilot)
        assert screen.query_one("#checkpoints").has_focus
        await pilot.press("enter")
        await until_ready(pilot)
        await until_chat(pilot)
        assert app.settings.chosen
        await pilot.pause()  # the header writes its title once it is mounted
        assert (app.left.title, app.right.title) == ("OpenVINO int8", "OpenVINO int8")


async def test_built_engines_are_reused(settings: Settings) -> None:
    app = playground(settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_ready(pilot)
        await pilot.press("f2")
        await open_prepare(pilot)
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: all(build.prepared for build in app.builds.values()))
        assert all(build.prepared and build.prepared.reused for build in app.builds.values())
        assert any("cache hit: " in line for line in app.builds["left"].lines)


async def test_preparing_one_side_keeps_the_other(settings: Settings) -> None:
    app = playground(settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_ready(pilot)
        before = app.right.pid
        await pilot.press("f2")
        screen = await open_prepare(pilot)
        picker = screen.query_one("#engine-left", EnginePicker)
        options = picker.query_one(".precisions", OptionList)
        options.highlighted = options.get_option_index("int4")
        screen.query_one("#sides").value = "left"  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: app.left.title == "OpenVINO int4" and app.left.phase is Phase.READY)
        assert app.right.pid == before


async def test_unavailable_precisions_are_refused_with_the_reason(settings: Settings) -> None:
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await open_prepare(pilot)
        picker = screen.query_one("#engine-left", EnginePicker)
        options = picker.query_one(".precisions", OptionList)
        picker.query_one(PrecisionList).action_fold()
        options.highlighted = options.get_option_index("nvfp4")
        await pilot.pause()
        assert picker.selection.problem
        await pilot.press("ctrl+b")
        await pilot.pause()
        assert isinstance(app.screen, ModelsScreen)
        assert app.left.phase is Phase.EMPTY


async def test_bad_checkpoints_are_reported_before_a_build(settings: Settings, tmp_path: Path) -> None:
    app = playground(replace(settings, chosen=False))
    empty = tmp_path / "empty"
    empty.mkdir()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await open_prepare(pilot)
        for name, word in ((str(empty), "config.json"), ("/no/such/folder", "no folder")):
            picker = await choose_checkpoint(pilot, name)
            assert word in picker.problem
            assert word in str(screen.query_one("#checkpoint-facts", Static).content)
        await pilot.press("ctrl+b")
        await pilot.pause()
        assert app.left.phase is Phase.EMPTY


async def test_an_unknown_hub_id_without_network(settings: Settings) -> None:
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await open_prepare(pilot)
        await choose_checkpoint(pilot, "no-such-org/no-such-model")
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: "left" in app.builds and app.builds["left"].error is not None)
        card = screen.query_one(ErrorCard)
        await wait_until(pilot, lambda: card.display)
        assert card.text.count("cannot be reached") == 1
        assert card.text.startswith("Model: ")


async def test_escape_cancels_a_build_and_leaves_no_files(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "slow"  # large enough that its build still runs when Esc is pressed
    make_checkpoint(folder, "llama", hidden_size=512, intermediate_size=2048, num_hidden_layers=16)
    app = playground(replace(settings, checkpoint=str(folder), chosen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_prepare(pilot)
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.left.phase is Phase.PREPARING)
        assert not screen.query_one("#cancel", Button).disabled
        await pilot.press("escape")
        await wait_until(pilot, lambda: all(not build.running for build in app.builds.values()))
        assert app.builds["left"].cancelled
        await wait_until(pilot, lambda: app.left.phase is Phase.EMPTY)
        assert not list(app.store.root.glob("building/*"))
        assert not list(app.store.root.glob("engines/*"))
        progress = screen.query_one("#build-left", BuildProgress).query_one(Static)
        await wait_until(pilot, lambda: "Cancelled" in str(progress.content))
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, ChatScreen)


async def test_context_must_be_a_number(settings: Settings) -> None:
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await open_prepare(pilot)
        screen.query_one("#context", Input).value = "12"
        await pilot.press("ctrl+b")
        await pilot.pause()
        assert app.left.phase is Phase.EMPTY


async def test_the_store_lists_and_deletes(settings: Settings) -> None:
    app = playground(replace(settings, right=EngineChoice("openvino", "int4")))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_ready(pilot)
        await pilot.press("f8")
        await wait_until(pilot, lambda: isinstance(app.screen, StoreScreen))
        await wait_until(pilot, lambda: "2 engines" in note(pilot))
        await pilot.press("delete")
        await pilot.pause()
        assert len(app.store.engines()) == 2
        await pilot.press("delete")
        await wait_until(pilot, lambda: "1 engine," in note(pilot))
        assert len(app.store.engines()) == 1
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, ChatScreen)
