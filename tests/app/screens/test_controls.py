"""Mouse, palette, help, themes and quitting."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace
from textual.command import CommandList
from textual.pilot import Pilot
from textual.widgets import Button, Input, OptionList, Static

from app.commands import COMMANDS
from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.help import HelpScreen
from app.screens.models import ModelsScreen
from app.screens.store import StoreScreen
from app.state.settings.settings import EngineChoice, Settings, load_settings
from app.state.side.phase import Phase
from app.widgets.chat.failure_card import FailureCard
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.transcript.figures import shown_prompt
from app.widgets.models.model_picker import ModelPicker
from app.widgets.prepare.engine_picker import EnginePicker
from engines.worker.process import EngineProcess
from engines.worker.protocol import Sampling
from tests.app.driving import (
    go_on,
    is_composed,
    playground,
    sampled,
    toasts,
    until_answered,
    until_ready,
    until_screen,
    wait_until,
)
from tests.app.still import StillPlayground, chat_answered
from tests.doubles.fork_server import start_forked


async def chat_without_engines(pilot: Pilot[None]) -> None:
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
    await pilot.press("f2")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))


async def test_with_the_mouse_alone(settings: Settings) -> None:
    """A click chooses a precision; buttons build and restart engines."""
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        picker = app.screen.query_one("#engine-left", EnginePicker)
        await wait_until(pilot, lambda: app.screen.query_one(ModelPicker).checkpoint is not None)
        await pilot.click("#engine-left .precisions", offset=(2, 3))
        await pilot.pause()
        assert picker.selection.precision == "int4"
        assert app.left.phase is Phase.EMPTY
        await pilot.click("#go")
        await until_ready(pilot)
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert app.left.title == "OpenVINO int4"
        assert app.left.pid
        os.kill(app.left.pid, signal.SIGKILL)
        await wait_until(pilot, lambda: app.left.phase is Phase.FAILED)
        card = app.screen.query_one("#pane-left", Pane).query_one(FailureCard)
        await wait_until(pilot, lambda: card.display and card.region.height > 3)
        assert await pilot.click(card.query(Button).first())
        await until_ready(pilot)
        await wait_until(pilot, lambda: not card.display)


async def test_cancel_with_the_mouse(settings: Settings) -> None:
    """In a small terminal the progress replaces the choices; Cancel shows them again."""

    async def never(backend: str, log: Path) -> EngineProcess:
        """Start no worker: a real build may end before the click."""
        await asyncio.Event().wait()
        return await start_forked(backend, log)

    app = Playground(replace(settings, chosen=False), start_worker=never)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await until_screen(pilot, ModelsScreen)
        await wait_until(pilot, lambda: not screen.problem)
        assert 0 < screen.query_one("#go").region.bottom <= 23
        await pilot.press("enter")
        await wait_until(pilot, lambda: screen.query_one("#cancel").region.height > 0)
        assert screen.has_class("-building")
        assert not screen.query_one("#engines").display
        assert await pilot.click("#cancel")
        await wait_until(pilot, lambda: not screen.has_class("-building"))
        await wait_until(pilot, lambda: "Cancelled" in str(screen.query_one("#enter-plan", Static).content))
        assert screen.query_one("#checkpoints").has_focus


def held_while_loading(app: Playground) -> bool:
    """Stop the left engine's process once it is loading, and return whether that is so.

    On an idle machine it would be ready before the keys of the test.
    """
    if app.left.phase not in (Phase.PREPARING, Phase.LOADING) or not app.left.pid:
        return False
    os.kill(app.left.pid, signal.SIGSTOP)
    return True


async def test_prompts_are_kept_and_sides_not_swapped_while_engines_load(settings: Settings) -> None:
    app = playground(settings)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await wait_until(pilot, lambda: held_while_loading(app))
        left = app.left
        await pilot.press(*"Hi", "enter", "ctrl+x")
        assert app.left is left
        assert "Your prompt is kept" in toasts(app)
        assert app.screen.query_one(PromptInput).text == "Hi"
        go_on(app)
        await until_ready(pilot)
        await pilot.press("enter")
        await wait_until(pilot, lambda: bool(app.right.conversation.turns))
        await until_answered(pilot)
        assert app.right.conversation.turns[0].answer


@pytest.mark.parametrize("moment", ["building", "answering"])
async def test_quitting_leaves_no_process(settings: Settings, moment: str) -> None:
    """Ctrl+Q pressed twice while an engine is being built or answers."""
    long = Sampling(max_tokens=400, ignore_eos=True)
    settings = sampled(replace(settings, left=EngineChoice("pytorch", "fp32")), long)
    before = psutil.Process().children(recursive=True)
    app = Playground(settings if moment == "answering" else replace(settings, left=settings.right))
    async with app.run_test(size=(100, 30)) as pilot:
        if moment == "building":
            await wait_until(pilot, lambda: "left" in app.builds and bool(app.builds["left"].stages))
        else:
            await until_ready(pilot)
            await pilot.press(*"Hi", "enter")
            await wait_until(pilot, lambda: app.left.phase is Phase.DECODE)
        children = [child for child in psutil.Process().children(recursive=True) if child not in before]
        assert children
        await pilot.press("ctrl+q", "ctrl+q")
        await wait_until(pilot, lambda: app.return_code == 0)
    assert not psutil.wait_procs(children, timeout=30)[1]
    assert not list(app.store.root.glob("building/*"))


async def test_every_command_of_the_palette(settings: Settings) -> None:
    """Each is offered where it is available and runs without an error."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await chat_answered(pilot)
        for command in (one for one in COMMANDS if one.is_available(ChatScreen)):
            offered = {one.title for one in app.get_system_commands(app.screen)}
            assert command.title in offered
            await app.run_action(command.action, app.screen)
            await pilot.pause()
            while not isinstance(app.screen, ChatScreen):
                app.pop_screen()
                await pilot.pause()
        await pilot.press("f8")
        await wait_until(pilot, lambda: isinstance(app.screen, StoreScreen))
        assert "chat: Clear" not in {one.title for one in app.get_system_commands(app.screen)}


async def test_palette_by_keys() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("ctrl+p", *"timing")
        listed = app.screen.query_one(CommandList)

        def is_found() -> bool:
            return bool(listed.option_count) and "timing" in str(listed.get_option_at_index(0).prompt)

        await wait_until(pilot, is_found)
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.settings.timing.value == "together")


async def test_help_opens_over_every_screen_and_closes() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ("", "f2", "f8"):
            if key:
                await pilot.press(key)
            below = app.screen
            await pilot.press("f1")
            await wait_until(pilot, lambda: isinstance(app.screen, HelpScreen))
            await pilot.press("escape")
            await wait_until(pilot, lambda below=below: app.screen is below)  # type: ignore[misc]


async def test_tab_reaches_every_part_of_the_chat() -> None:
    """Prompt, panels and both sides, then the prompt again."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await chat_answered(pilot)
        seen = []
        for _ in range(8):
            await pilot.press("tab")
            assert app.focused
            seen.append(app.focused.id or type(app.focused).__name__)
        assert {"turns-left", "turns-right", "prompt"} <= set(seen)


async def test_a_theme_is_saved_and_an_unknown_one_replaced(own_folders: Path) -> None:
    path = own_folders / "settings.toml"
    app = playground(Settings(theme="no-such-theme"), path)
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.theme in app.available_themes
        app.theme = "nord"
        await pilot.pause()
    assert load_settings(path).theme == "nord"


async def test_unknown_backends_and_precisions_in_the_settings() -> None:
    """Settings of another version: Prepare selects an available precision."""
    odd = EngineChoice("no-such-backend", "int3")
    app = playground(Settings(left=odd, right=odd))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        picker = app.screen.query_one("#engine-left", EnginePicker)
        assert picker.selection.choice.precision in ("fp32", "bf16", "int8", "int4")


async def test_empty_and_very_long_prompts() -> None:
    """An empty prompt, spaces, and 20,000 characters."""
    app = StillPlayground("playground-dark", chosen=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await chat_without_engines(pilot)
        await pilot.press("enter", "space", "enter")
        assert not toasts(app)
        pasted = "line\n" * 4000
        app.screen.query_one(PromptInput).load_text(pasted)
        await pilot.press("enter")
        await pilot.pause()
        assert "F2" in toasts(app)
        assert app.screen.query_one(PromptInput).text == pasted
    assert shown_prompt(pasted).count("\n") < 10
    assert "20,000 characters" in shown_prompt(pasted)


async def test_invalid_context_windows() -> None:
    """Texts that are not a number, and numbers that are too small, are refused."""
    app = StillPlayground("playground-dark", chosen=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        for text in ("²", "", "-5", "63"):
            app.screen.query_one("#context", Input).value = text
            await pilot.press("ctrl+b")
        await pilot.pause()
        assert isinstance(app.screen, ModelsScreen)
        assert not app.settings.chosen


async def test_the_border_names_the_end_key_while_scrolled_up() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        pane = app.screen.query_one("#pane-left", Pane)
        assert "End" not in str(pane.border_subtitle)
        pane.transcript.focus()
        await pilot.press("home")
        await wait_until(pilot, lambda: "End" in str(pane.border_subtitle))
        await pilot.press("end")
        await wait_until(pilot, lambda: "End" not in str(pane.border_subtitle))


async def test_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every screen draws with NO_COLOR."""
    monkeypatch.setenv("NO_COLOR", "1")
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await chat_answered(pilot)
        for key in ("f2", "f1", "escape", "f8", "escape"):
            await pilot.press(key)
            await wait_until(pilot, lambda: is_composed(app.screen))
        assert app.is_running


async def test_a_click_selects_the_demo() -> None:
    app = StillPlayground("playground-dark", chosen=False)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await wait_until(pilot, lambda: app.screen.query_one("#checkpoints", OptionList).option_count > 0)
        field = app.screen.query_one("#checkpoint", Input)
        field.value = "/elsewhere"
        await pilot.click("#checkpoints", offset=(3, 1))
        await wait_until(pilot, lambda: app.screen.query_one(ModelPicker).chosen == "demo")
        assert field.value == ""


async def test_earlier_turns_are_shown_on_demand(settings: Settings) -> None:
    """Only the last 20 turns are drawn; Ctrl+E, or scrolling to the top, shows 20 more."""
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        await pilot.press("escape")
        for number in range(65):
            app.left.conversation.begin(f"Question {number}", "").answer = "Yes."
        pane = app.screen.query_one("#pane-left", Pane)
        pane.show_conversation()
        assert len(pane.transcript.turns) == 20
        pane.transcript.focus()
        await pilot.press("ctrl+e")
        await wait_until(pilot, lambda: len(pane.transcript.turns) == 40)
        await pilot.press("home")
        await wait_until(pilot, lambda: len(pane.transcript.turns) == 60)
        await pilot.press("end")
        await wait_until(pilot, lambda: pane.transcript.follows)
