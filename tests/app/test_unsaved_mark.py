"""The header says what could not be saved and why, on every screen, until it has been saved."""

from __future__ import annotations

import asyncio
import functools
import os
from pathlib import Path

import pytest
from textual.widgets import Static

from app.playground import Playground
from app.state.conversation.draft import Draft, DraftFile
from app.state.conversation.prompt_history import PromptFile, read_prompts
from app.state.conversation.record import read_record
from app.state.settings import paths
from app.state.settings.last_write import SaveFailures
from app.state.settings.settings import ChatOptions, EngineChoice, Settings, SettingsFile, load_settings
from app.widgets.chat.prompt import PromptInput
from engines.worker.process import EngineProcess
from tests.app.driving import ask, until_ready, wait_until
from tests.app.state.conversation.test_unsaved import full_disk
from tests.app.state.processes import run_alone
from tests.engines.worker.helpers import MISBEHAVING

KINDS = ("conversation", "settings", "presets", "prompt history", "draft")
WHY = "(File too large)"


def header(app: Playground) -> str:
    return str(app.screen.query_one("HeaderTitle", Static).content)


async def use_the_app(settings_file: Path, checkpoint: str) -> None:
    os.environ["GARBAGE"] = "correct"
    engine = EngineChoice("pytorch", "fp32")
    settings = Settings(checkpoint=checkpoint, context=512, chosen=True, left=engine, right=engine)
    start = functools.partial(EngineProcess.start, python=str(MISBEHAVING))
    app = Playground(settings, settings_file, start_worker=start)
    async with app.run_test(size=(160, 36)) as pilot:
        await until_ready(pilot)
        assert "not saved" not in header(app)
        with full_disk(0):
            app.change_settings(panels=False, presets={"Mine": ChatOptions("Be brief.")})
            await ask(pilot, "a question")
            app.screen.query_one(PromptInput).load_text("a draft")
            await wait_until(pilot, lambda: all(kind in header(app) for kind in KINDS))
            assert f"not saved: {', '.join(KINDS)} {WHY} · {Path(checkpoint).name} · in turn" in header(app)
            await pilot.press("f6")
            await wait_until(pilot, lambda: "Settings" in header(app))
            assert f"not saved: {', '.join(KINDS)} {WHY}" in header(app)
        await wait_until(pilot, lambda: "not saved" not in header(app))
        await pilot.press("f6")
        await wait_until(pilot, lambda: "in turn" in header(app))
        assert "not saved" not in header(app)
        assert app.history.path
        sides = read_record(app.history.path).sides
        assert [side.turns[-1].answer for side in sides.values()] == ["Hello ", "Hello "]
        assert load_settings(settings_file).presets == {"Mine": ChatOptions("Be brief.")}
        assert not load_settings(settings_file).panels
        assert read_prompts(paths.prompt_history_file()) == ["a question"]
        assert "a draft" in paths.draft_file().read_text()


def run_the_app(settings_file: Path, checkpoint: str) -> None:
    asyncio.run(use_the_app(settings_file, checkpoint))


def test_the_header_says_what_is_not_saved_until_it_is(tmp_path: Path, tiny: Path) -> None:
    """In a separate process, because the limit on the size of files is the process's."""
    run_alone(run_the_app, tmp_path / "settings.toml", str(tiny))


def save(kind: str, folder: Path) -> SaveFailures:
    """Try to save one kind, once."""
    file: SettingsFile | PromptFile | DraftFile
    if kind in ("settings", "presets"):
        file = SettingsFile(folder / "settings.toml")
        changed = Settings(panels=False) if kind == "settings" else Settings(presets={"Mine": ChatOptions()})
        file.set_pending(changed)
    elif kind == "prompt history":
        file = PromptFile(folder / "prompts.jsonl")
        file.add("a question")
    else:
        file = DraftFile(folder / "draft.json")
        file.set_pending(Draft("a draft"))
    failures = SaveFailures(file)
    assert failures.text == "", "nothing has failed yet"
    with pytest.raises(OSError):  # noqa: PT011 - of any kind
        file.write()
    return failures


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_each_kind_is_tried_again_until_its_folder_can_be_written(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.write_text("a file where the folder should be")
    failures = save(kind, folder)
    assert failures.text.startswith(f"not saved: {kind} (")
    await failures.retry()
    assert failures.text, "it still cannot be written"
    folder.unlink()
    await failures.retry()
    assert failures.text == ""
    assert [one for one in folder.iterdir() if one.is_file()]
