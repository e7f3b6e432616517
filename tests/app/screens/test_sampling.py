"""Sampling: every control of both forms, presets, and the sampling that engines receive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select, Static, TextArea

from app.screens.chat import ChatScreen
from app.screens.name import NameScreen
from app.screens.sampling import SamplingScreen
from app.state.settings.presets import PRESETS
from app.state.settings.sampling_fields import FIELDS
from app.state.settings.settings import ChatOptions, Settings, load_settings
from app.widgets.forms.ascii_checkbox import AsciiCheckbox
from app.widgets.forms.thinking_form import TITLES, ThinkingForm
from engines.worker.protocol import Ready, Sampling
from engines.worker.template_arguments import Thinking
from tests.app.driving import ask, playground, toasts, until_ready, until_screen, wait_until
from tests.app.still import StillPlayground

WARM = ChatOptions("Be a pirate.", Sampling(temperature=0.8, max_tokens=12))


def still(**changes: Any) -> StillPlayground:
    app = StillPlayground("playground-dark", chosen=True)
    app.settings = replace(app.settings, **changes)
    return app


async def opened(pilot: Pilot[None]) -> SamplingScreen:
    """Press F4 and wait for the screen."""
    await pilot.pause()
    await pilot.press("f4")
    return await until_screen(pilot, SamplingScreen)


def entry(screen: SamplingScreen, side: str, name: str) -> Input:
    return screen.form(side).query_one(f".{name}", Input)


def text_of(screen: SamplingScreen, name: str) -> str:
    return str(screen.query_one(name, Static).content)


def chosen(screen: SamplingScreen, side: str) -> Any:
    return screen.form(side).query_one(".preset", Select).value


async def test_every_field_of_one_side_is_saved(own_folders: Path) -> None:
    path = own_folders / "settings.toml"
    app = playground(Settings(chosen=True, welcomed=True), path)
    app.open_engines = lambda names: None  # type: ignore[method-assign]
    wanted = {
        "temperature": "0.8",
        "top_p": "0.9",
        "top_k": "40",
        "min_p": "0.05",
        "repetition_penalty": "1.1",
        "seed": "7",
        "max_tokens": "99",
    }
    assert set(wanted) == {field.name for field in FIELDS}
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        form = screen.form("right")
        for name, text in wanted.items():
            entry(screen, "right", name).value = text
        form.query_one(".system-prompt", TextArea).load_text("Be a pirate.")
        form.query_one(".stop", TextArea).load_text("User:\n\\n\\n")
        form.query_one(AsciiCheckbox).toggle()
        await pilot.pause()
        assert "sides differ" in text_of(screen, "#sampling-state")
        assert chosen(screen, "right") is Select.NULL
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert "right temperature 0.8 + system prompt" in str(app.screen.sub_title)
    settings = load_settings(path)
    assert settings.left_chat == ChatOptions()
    assert settings.right_chat == ChatOptions(
        "Be a pirate.",
        Sampling(99, 0.8, 0.9, 40, 0.05, 1.1, 7, ("User:", "\n\n"), ignore_eos=True),
    )


async def test_invalid_values_are_reported_and_not_applied() -> None:
    app = still()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        field = entry(screen, "left", "temperature")
        field.focus()
        await pilot.pause()
        assert "greedy" in text_of(screen, "#sampling-meaning")
        await pilot.press("ctrl+u", *"250")
        await pilot.pause()
        problems = screen.form("left").query_one(".form-problems", Static)
        assert "Temperature: write a number from 0 to 100." in str(problems.content)
        assert problems.display
        assert "from 0 to 100" in text_of(screen, "#sampling-meaning")  # also if the form is cut off
        assert field.has_class("-wrong")
        assert app.settings.left_chat.sampling.temperature == 25.0  # the last valid value
        await pilot.press("ctrl+u", *"1.5")
        await pilot.pause()
        assert not problems.display
        assert app.settings.left_chat.sampling.temperature == 1.5


async def test_every_control_can_be_reached_and_seen_in_a_small_terminal() -> None:
    app = still()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        seen = set()
        for _ in range(40):
            assert app.focused
            await pilot.wait_for_scheduled_animations()
            await pilot.pause()
            view = screen.query_one("#sampling").region
            assert view.contains_region(app.focused.region), app.focused
            seen.add(app.focused)
            await pilot.press("tab" if screen.focused_side != "right" or len(seen) < 24 else "shift+tab")
        kinds = (Input, TextArea, Select, AsciiCheckbox)
        assert {one for kind in kinds for one in screen.query(kind) if one in screen.focus_chain} <= seen


async def test_esc_goes_back_from_every_kind_of_control() -> None:
    app = still()
    async with app.run_test(size=(80, 24)) as pilot:
        for name in (".preset", ".system-prompt", ".seed", ".ignore-eos"):
            screen = await opened(pilot)
            screen.form("right").query_one(name).focus()
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))


async def test_choosing_a_preset_fills_the_form_and_keeps_the_system_prompt() -> None:
    app = still(left_chat=WARM)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        assert chosen(screen, "left") is Select.NULL
        assert chosen(screen, "right") == "Greedy"
        await pilot.press("enter", "home", "down", "down", "down", "enter")
        await pilot.pause()
        assert chosen(screen, "left") == "Creative"
        assert app.settings.left_chat == replace(PRESETS["Creative"], system_prompt="Be a pirate.")
        assert entry(screen, "left", "temperature").value == "1.1"


async def test_same_on_both_sides_and_reset() -> None:
    app = still(right_chat=WARM)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        screen = await opened(pilot)
        entry(screen, "right", "seed").focus()
        await pilot.press("ctrl+b")
        await pilot.pause()
        assert app.settings.left_chat == app.settings.right_chat == WARM
        assert entry(screen, "left", "temperature").value == "0.8"
        assert "Same settings" in text_of(screen, "#sampling-state")
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert app.settings.right_chat == ChatOptions()
        assert app.settings.left_chat == WARM
        assert screen.form("right").query_one(".system-prompt", TextArea).text == ""


async def test_a_preset_is_saved_renamed_and_deleted() -> None:
    app = still(left_chat=WARM)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        screen = await opened(pilot)
        form = screen.form("left")
        assert form.query_one(".delete", Button).disabled
        await pilot.press("ctrl+o")
        await wait_until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press(*"Greedy", "enter")
        await pilot.pause()
        assert "already" in str(app.screen.query_one("#name-note", Static).content)
        await pilot.press("ctrl+u", *"Pirate", "enter")
        await wait_until(pilot, lambda: app.settings.presets == {"Pirate": WARM})
        await pilot.pause()
        assert chosen(screen, "left") == "Pirate"
        assert await pilot.click(form.query_one(".rename"))
        await wait_until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is screen)
        assert await pilot.click(form.query_one(".rename"))
        await wait_until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press("ctrl+u", *"Corsair", "enter")
        await wait_until(pilot, lambda: app.settings.presets == {"Corsair": WARM})
        await wait_until(pilot, lambda: app.screen is screen and chosen(screen, "left") == "Corsair")
        button = form.query_one(".delete", Button)
        button.press()
        await pilot.pause()
        assert app.settings.presets
        button.press()
        await wait_until(pilot, lambda: not app.settings.presets)
        await pilot.pause()
        assert chosen(screen, "left") is Select.NULL
        assert app.settings.left_chat == WARM


async def test_deleting_a_preset_has_to_be_asked_again_after_a_move_or_a_while() -> None:
    app = still(left_chat=WARM, presets={"Pirate": WARM})
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        screen = await opened(pilot)
        button = screen.form("left").query_one(".delete", Button)
        button.press()
        await pilot.pause()
        assert "Press again to delete Pirate." in toasts(app)
        entry(screen, "left", "seed").focus()
        await pilot.pause()
        app.clear_notifications()
        app.NOTIFICATION_TIMEOUT = 0.2  # type: ignore[misc]
        button.press()
        await wait_until(pilot, lambda: len(app.notified) == 2)
        await wait_until(pilot, lambda: not toasts(app))
        assert app.settings.presets
        app.NOTIFICATION_TIMEOUT = 60.0  # type: ignore[misc]
        button.press()
        await pilot.pause()
        screen.form("left").query_one(Select).value = "Greedy"
        await pilot.pause()
        screen.form("left").query_one(Select).value = "Pirate"
        await pilot.pause()
        button.press()
        await pilot.pause()
        assert app.settings.presets
        button.press()
        await wait_until(pilot, lambda: not app.settings.presets)


async def test_values_of_the_file_are_shown_as_plain_text() -> None:
    """Names, prompts and stop sequences with markup and control characters."""
    odd = ChatOptions("[bold]\x1b[31m", Sampling(stop=("[/]",)))
    app = still(left_chat=odd, presets={"[red]\x07": odd})
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        assert chosen(screen, "left") == "[red]\x07"
        await pilot.press("enter")
        await pilot.pause()
        drawn = app.export_screenshot()
        assert "[red]" in drawn.replace("&#91;", "[")
        assert "\x1b" not in drawn


async def test_each_side_uses_its_own_options(settings: Settings) -> None:
    """From the next prompt on; swapping the sides moves the options with the engines."""
    app = playground(settings)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "Hello")
        screen = await opened(pilot)
        entry(screen, "left", "max_tokens").value = "5"
        screen.form("left").query_one(".system-prompt", TextArea).load_text("Be a pirate.")
        await pilot.pause()
        await pilot.press("f4")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await ask(pilot, "And now?")
        left, right = (side.conversation for side in app.sides)
        assert [len(turn.token_ids) for turn in left.turns] == [24, 5]
        assert [len(turn.token_ids) for turn in right.turns] == [24, 24]
        assert left.messages()[0] == {"role": "system", "content": "Be a pirate."}
        assert right.messages()[0]["role"] == "user"
        assert left.turns[-1].sampling == Sampling(max_tokens=5, ignore_eos=True)
        await pilot.press("ctrl+x")
        await wait_until(pilot, lambda: app.right.conversation is left)
        await ask(pilot, "Again?")
        assert len(app.right.conversation.turns[-1].token_ids) == 5
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: app.left.conversation.turns[-1].attempt == 1)
        await wait_until(pilot, lambda: all(side.conversation.turns[-1].reason for side in app.sides))
        assert [side.conversation.turns[-1].sampling.seed for side in app.sides] == [1, 1]  # type: ignore[union-attr]


def test_the_form_explains_every_field() -> None:
    from app.widgets.forms.options_form import MEANINGS

    assert {field.name for field in FIELDS} <= set(MEANINGS)
    assert all(len(meaning) <= 76 for meaning in MEANINGS.values()), "one line at 80 columns"


async def test_fields_that_an_engine_ignores_are_disabled() -> None:
    """Below the form is which they are, and the sides are compared by what has an effect."""
    seeded = ChatOptions("", Sampling(temperature=0.8, seed=7))
    app = still(left_chat=seeded, right_chat=seeded)
    app.left.ready = Ready(0, ignored_sampling=("seed", "min_p"))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        disabled = [field.name for field in FIELDS if entry(screen, "left", field.name).disabled]
        assert disabled == ["min_p", "seed"]
        note = screen.form("left").query_one(".form-ignored", Static)
        assert str(note.content) == f"{app.left.title} ignores min-p, seed."
        assert note.display
        assert not any(entry(screen, "right", field.name).disabled for field in FIELDS)
        assert not screen.form("right").query_one(".form-ignored").display
        assert text_of(screen, "#sampling-state").startswith("The sides differ in seed.")


async def test_thinking_is_offered_where_the_chat_template_reads_it(own_folders: Path) -> None:
    path = own_folders / "settings.toml"
    app = playground(Settings(chosen=True, welcomed=True), path)
    app.open_engines = lambda names: None  # type: ignore[method-assign]
    app.left.ready = Ready(0, template_variables=("enable_thinking", "reasoning_effort"))
    app.right.ready = Ready(0)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        left, right = (screen.form(side).query_one(ThinkingForm) for side in ("left", "right"))
        assert [left.query_one(f".row-{name}").display for name in TITLES] == [True, True, False]
        assert left.display
        assert not right.display
        left.query_one(".thinking-switch", Select).value = "off"
        await wait_until(pilot, lambda: app.settings.left_chat.thinking == Thinking("off"))
        left.query_one(".thinking-effort", Select).value = "high"
        await wait_until(pilot, lambda: app.settings.left_chat.thinking == Thinking("off", "high"))
        assert chosen(screen, "left") == "Greedy"
        assert text_of(screen, "#sampling-state").startswith("The sides differ in thinking.")
        entry(screen, "left", "seed").value = "7"
        await wait_until(pilot, lambda: app.settings.left_chat.sampling.seed == 7)
        assert app.settings.left_chat.thinking == Thinking("off", "high")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
    assert load_settings(path).left_chat.thinking == Thinking("off", "high")
