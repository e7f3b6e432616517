"""Attaching a file to the prompt."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from app.screens.attach import AttachScreen
from app.screens.chat import ChatScreen
from app.state.conversation.attachment import Attachment
from app.state.settings.path_completion import PathEntry, common_prefix, matching_paths
from app.widgets.chat.composer import Composer
from tests.app.driving import wait_until
from tests.app.still import StillPlayground, chat_answered


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some files, which is the working directory."""
    found = tmp_path / "texts"
    (found / "inner").mkdir(parents=True)
    (found / "notes.txt").write_text("one\ntwo\n")
    (found / "notes [b].md").write_text("# Notes\n")
    (found / "image.png").write_bytes(b"\x89PNG\0")
    (found / ".hidden").write_text("x")
    (found / "inner" / "deep.txt").write_text("deep")
    monkeypatch.chdir(found)
    return found


async def opened(pilot: Pilot[None]) -> AttachScreen:
    await chat_answered(pilot)
    await pilot.press("ctrl+o")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, AttachScreen))
    await wait_until(pilot, lambda: pilot.app.screen.query_one(OptionList).option_count == 4)
    screen = pilot.app.screen
    assert isinstance(screen, AttachScreen)
    return screen


def field(screen: AttachScreen) -> Input:
    return screen.query_one(Input)


def shown(screen: AttachScreen) -> list[str]:
    files = screen.query_one(OptionList)
    return [str(files.get_option_at_index(index).prompt) for index in range(files.option_count)]


def note(screen: AttachScreen) -> str:
    return str(screen.query_one("#file-note", Static).content)


async def attached(pilot: Pilot[None]) -> tuple[Attachment, ...]:
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
    await wait_until(pilot, lambda: bool(pilot.app.screen.query_one(Composer).attachments))
    return pilot.app.screen.query_one(Composer).attachments


async def test_tab_completes_and_enter_attaches(folder: Path) -> None:
    async with StillPlayground("playground-dark", chosen=True).run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        assert shown(screen) == ["inner/", "image.png", "notes [b].md", "notes.txt"]
        await pilot.press("n", "tab")
        assert field(screen).value == f"{folder}/notes"
        await pilot.press(".")
        await wait_until(pilot, lambda: shown(screen) == ["notes.txt"])
        await pilot.press("tab")
        assert field(screen).value == f"{folder}/notes.txt"
        await pilot.press("enter")
        assert await attached(pilot) == (Attachment("notes.txt", "one\ntwo\n"),)


async def test_arrows_highlight_and_enter_opens_folders(folder: Path) -> None:
    async with StillPlayground("playground-dark", chosen=True).run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("up", "up", "up", "up", "enter")
        await wait_until(pilot, lambda: shown(screen) == ["deep.txt"])
        assert field(screen).value == f"{folder}/inner/"
        await pilot.press("down", "enter")
        assert await attached(pilot) == (Attachment("deep.txt", "deep"),)
        await pilot.press("ctrl+o")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, AttachScreen))
        await wait_until(pilot, lambda: pilot.app.screen.query_one(Input).value == f"{folder}/inner/")


async def test_a_click_attaches(folder: Path) -> None:
    async with StillPlayground("playground-dark", chosen=True).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.click(OptionList, offset=(2, 2))
        assert await attached(pilot) == (Attachment("notes [b].md", "# Notes\n"),)


async def test_files_that_cannot_be_attached_are_reported(folder: Path) -> None:
    async with StillPlayground("playground-dark", chosen=True).run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("enter")
        await wait_until(pilot, lambda: "It is a folder" in note(screen))
        field(screen).value = f"{folder}/image.png"
        await pilot.pause()
        await pilot.press("enter")
        await wait_until(pilot, lambda: "UTF-8. Save" in note(screen))
        field(screen).value = f"{folder}/none.txt"
        await pilot.pause()
        await pilot.press("enter")
        await wait_until(pilot, lambda: "no such file" in note(screen))
        field(screen).value = f"{folder}/none/none"
        await wait_until(pilot, lambda: "Folder not found" in note(screen))
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        assert not pilot.app.screen.query_one(Composer).attachments


def test_matching_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "two\nlines").write_text("x")
    assert [entry.name for entry in matching_paths(f"{folder}/.")] == [".hidden"]
    assert [entry.path for entry in matching_paths(f"{folder}/IM")] == [f"{folder}/image.png"]
    monkeypatch.setenv("HOME", str(folder))
    assert [entry.path for entry in matching_paths("~/in")] == ["~/inner/"]
    assert matching_paths("in")[0].is_folder
    assert common_prefix("x", []) == "x"
    assert common_prefix("n", [PathEntry("notes a", ""), PathEntry("notes b", "")]) == "notes "
