"""Settings: every row, the themes and the file; notifications about engines on other screens."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Select, Static

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.models import ModelsScreen
from app.screens.settings import SettingsScreen, theme_names
from app.state.settings.setting_rows import ROWS
from app.state.settings.settings import Settings, TimingMode, load_settings
from app.state.side.phase import Phase
from app.themes import THEMES
from app.widgets.chat.failure_card import SAME
from app.widgets.forms.ascii_checkbox import AsciiCheckbox
from app.widgets.forms.setting import Setting
from app.widgets.panels.panel_strip import PanelStrip
from app.widgets.prepare.error_card import ErrorCard
from app.widgets.prepare.welcome import Welcome
from tests.app.driving import failure, playground, toasts, until_ready, until_screen, wait_until
from tests.app.still import StillPlayground


class AppWithoutEngines(Playground):
    """An app that saves its settings but starts no engine."""

    CSS_PATH = StillPlayground.CSS_PATH

    def open_engines(self, names: tuple[str, ...]) -> None:
        """Do nothing."""


async def opened(pilot: Pilot[None]) -> SettingsScreen:
    """Press F6 and wait for the screen."""
    await pilot.pause()
    await pilot.press("f6")
    return await until_screen(pilot, SettingsScreen)


def control(screen: SettingsScreen, name: str, kind: Any) -> Any:
    return screen.query_one(f"#setting-{name}", Setting).query_one(kind)


def test_every_row_is_a_setting() -> None:
    for row in ROWS:
        assert hasattr(Settings(), row.name)
        assert len(row.meaning) <= 56, "one line at 80 columns"


async def test_every_row_is_applied_and_saved(own_folders: Path) -> None:
    path = own_folders / "settings.toml"
    app = AppWithoutEngines(Settings(chosen=True), path)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        assert str(path) in str(screen.query_one("#settings-file", Static).content)
        control(screen, "timing", Select).value = "together"
        control(screen, "panels", AsciiCheckbox).toggle()
        context = control(screen, "context", Input)
        context.focus()
        await pilot.press("ctrl+u", *"12")
        await pilot.pause()
        meaning = screen.query_one("#setting-context", Setting).query_one(".setting-meaning", Static)
        assert "at least 64" in str(meaning.content)
        assert app.settings.context == Settings().context
        await pilot.press(*"8")
        await pilot.pause()
        assert "at least" not in str(meaning.content)
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert "together" in str(app.screen.sub_title)
        assert not app.screen.query_one(PanelStrip).display
    assert load_settings(path) == Settings(
        chosen=True, timing=TimingMode.TOGETHER, panels=False, context=128, theme=THEMES[0].name
    )


async def test_the_highlighted_theme_is_applied_and_saved(own_folders: Path) -> None:
    path = own_folders / "settings.toml"
    app = AppWithoutEngines(Settings(chosen=True), path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        assert theme_names(app)[:4] == [theme.name for theme in THEMES]
        assert screen.query_one("#themes", OptionList).has_focus
        for theme in THEMES[1:]:
            await pilot.press("down")
            await wait_until(pilot, lambda theme=theme: app.theme == theme.name)  # type: ignore[misc]
        await pilot.press("end")
        await wait_until(pilot, lambda: app.theme == theme_names(app)[-1])
        await pilot.press("f6")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
    again = AppWithoutEngines(load_settings(path))
    async with again.run_test():
        assert again.theme == theme_names(app)[-1]


async def test_changes_by_other_screens_are_shown() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        app.change_settings(timing=TimingMode.TOGETHER, panels=False, context=777)
        app.theme = "nord"
        themes, nord = screen.query_one("#themes", OptionList), theme_names(app).index("nord")
        await wait_until(pilot, lambda: themes.highlighted == nord)
        assert control(screen, "timing", Select).value == "together"
        assert not control(screen, "panels", AsciiCheckbox).value
        assert control(screen, "context", Input).value == "777"


async def test_settings_open_over_prepare_change_its_context() -> None:
    app = StillPlayground("playground-dark", chosen=False)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        control(screen, "context", Input).value = "999"
        await pilot.pause()
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        assert app.screen.query_one("#context", Input).value == "999"


async def test_a_failed_save_is_reported(own_folders: Path) -> None:
    (own_folders / "file").write_text("")
    app = AppWithoutEngines(Settings(chosen=True), own_folders / "file" / "settings.toml")
    async with app.run_test(notifications=True) as pilot:
        app.change_settings(panels=False)
        await wait_until(pilot, lambda: "cannot be saved" in toasts(app))
        assert not app.settings.panels


@pytest.mark.parametrize("way", ["button", "key", "prepare"])
async def test_the_first_run_hint_is_shown_once(settings: Settings, own_folders: Path, way: str) -> None:
    path = own_folders / "settings.toml"
    app = AppWithoutEngines(replace(settings, chosen=False), path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await until_screen(pilot, ModelsScreen)
        hint = screen.query_one(Welcome)
        await wait_until(pilot, lambda: hint.size.height == 1)
        assert 0 < screen.query_one("#go").region.bottom <= hint.region.y
        if way == "button":
            assert await pilot.click("#welcomed")
        elif way == "key":
            app.screen.query_one("#welcomed").focus()
            await pilot.press("enter")
        else:
            await wait_until(pilot, lambda: app.screen.query_one("#checkpoint-picker").is_up_to_date)  # type: ignore[attr-defined]
            await pilot.press("enter")
        await wait_until(pilot, lambda: not app.screen.query(Welcome))
    again = AppWithoutEngines(load_settings(path))
    assert again.settings.welcomed
    async with again.run_test(size=(80, 24)) as pilot:
        screen = await until_screen(pilot, ChatScreen if way == "prepare" else ModelsScreen)
        assert not screen.query(Welcome)


async def test_engine_events_are_notified_on_other_screens(settings: Settings) -> None:
    """Toasts report a ready or dead engine while the settings are open; the chat shows it without a toast."""
    app = playground(settings)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await opened(pilot)
        await until_ready(pilot)
        await wait_until(pilot, lambda: toasts(app).count("is ready") == 2)
        assert app.left.pid
        os.kill(app.left.pid, signal.SIGKILL)
        await wait_until(pilot, lambda: "Left: the engine died" in toasts(app))
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        app.clear_notifications()
        await pilot.press("f9")
        await until_ready(pilot)
        assert app.right.pid
        os.kill(app.right.pid, signal.SIGKILL)
        await wait_until(pilot, lambda: "SIGKILL" in failure(app, "right"))
        assert app.right.phase is Phase.FAILED
        assert not toasts(app)


async def test_a_failed_build_is_notified_on_other_screens_and_shown_on_prepare(settings: Settings) -> None:
    app = playground(replace(settings, checkpoint="/no/such/folder"))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await wait_until(pilot, lambda: all(side.phase is Phase.FAILED for side in app.sides))
        assert not toasts(app)  # the chat shows it, once
        assert "/no/such/folder" in failure(app, "left")
        assert failure(app, "right") == SAME
        await opened(pilot)
        app.open_engines(("left", "right"))
        await wait_until(pilot, lambda: toasts(app).count("not prepared") == 2)
        app.clear_notifications()
        await pilot.press("f2")
        await wait_until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        before, card = app.builds["left"], app.screen.query_one(ErrorCard)
        app.open_engines(("left",))
        await wait_until(pilot, lambda: app.builds["left"] is not before and not app.builds["left"].running)
        await wait_until(pilot, lambda: card.text.startswith("Model: "))
        assert not toasts(app)
