"""The interpreter of TensorRT-LLM in the settings: checked, saved only if usable, and used by workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Static
from typer.testing import CliRunner

from app.cli.main import cli
from app.screens.settings import SettingsScreen
from app.state.settings import paths
from app.state.settings.settings import Settings, load_settings, save_settings
from app.widgets.forms.interpreter_setting import InterpreterSetting
from engines.environments.interpreters import interpreter
from tests.app.driving import toasts, wait_until
from tests.app.screens.test_settings import AppWithoutEngines, opened
from tests.engines.double_environment import make_environment


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter of an environment with the double."""
    return str(make_environment(tmp_path_factory.mktemp("environment") / "made", "1_2"))


def meaning(screen: SettingsScreen) -> str:
    return str(screen.query_one(InterpreterSetting).query_one(".setting-meaning", Static).content)


def path_of(screen: SettingsScreen) -> Input:
    return screen.query_one(InterpreterSetting).query_one(Input)


async def test_a_path_is_refused_saved_and_removed(own_folders: Path, python: str) -> None:
    path = own_folders / "settings.toml"
    app = AppWithoutEngines(Settings(chosen=True), path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        path_of(screen).focus()
        await pilot.press(*"/no/python")
        await wait_until(pilot, lambda: "not an interpreter that has tensorrt_llm" in meaning(screen))
        assert app.settings.interpreters == {}
        path_of(screen).value = python
        await wait_until(pilot, lambda: "✓ TensorRT-LLM 1.2.1" in meaning(screen))
        await wait_until(pilot, lambda: app.settings.interpreters == {"tensorrt-llm": python})
        await app.find_interpreters()
        known = interpreter("tensorrt-llm")
        assert known
        assert (known.python, known.builds_engines) == (python, True)
        await wait_until(pilot, lambda: load_settings(path).interpreters == app.settings.interpreters)
        listed = CliRunner().invoke(cli, ["env", "list"], env={"TRT_PLAYGROUND_CONFIG": str(path)}).output
        assert "tensorrt-llm 1.2.1  OK, yours, builds TensorRT engines" in listed
        path_of(screen).value = ""
        await wait_until(pilot, lambda: app.settings.interpreters == {})
        assert meaning(screen).startswith("Path to a Python with TensorRT-LLM. Empty: ")
        await app.find_interpreters()
        assert interpreter("tensorrt-llm") is None


async def test_a_saved_interpreter_is_shown(own_folders: Path, python: str) -> None:
    app = AppWithoutEngines(Settings(chosen=True, interpreters={"tensorrt-llm": python}))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        assert path_of(screen).value == python
        await wait_until(pilot, lambda: "✓ TensorRT-LLM 1.2.1" in meaning(screen))


async def test_a_missing_interpreter_is_reported_once(own_folders: Path) -> None:
    app = AppWithoutEngines(
        Settings(chosen=True, interpreters={"tensorrt-llm": "/gone/python", "unknown": "x"})
    )
    async with app.run_test(size=(80, 24), notifications=True):
        for _ in range(2):
            await app.find_interpreters()
        assert toasts(app).count("/gone/python is not an interpreter that has tensorrt_llm. F6") == 1


def test_the_command_line_reports_a_missing_interpreter(own_folders: Path) -> None:
    save_settings(paths.settings_file(), Settings(interpreters={"tensorrt-llm": "/gone/python"}))
    for arguments, expected in (
        (["env", "list"], "/gone/python is not an interpreter"),
        (["env", "check"], "F6"),
        (["doctor"], "/gone/python is not an interpreter"),
    ):
        assert expected in CliRunner().invoke(cli, arguments).output
