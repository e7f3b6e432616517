"""Settings survive a round trip, and a broken file is told in words."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from app.state.settings.settings import (
    ChatOptions,
    EngineChoice,
    Settings,
    SettingsError,
    SettingsFile,
    TimingMode,
    load_settings,
    save_settings,
    swapped,
)
from engines.demo import CHECKPOINT
from engines.worker.protocol import Sampling


def test_defaults_without_a_file(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none.toml") == Settings()


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.toml"
    chat = ChatOptions("“hi”\n", Sampling(temperature=0.7, stop=("\n\n", "<|end|>")))
    settings = Settings(
        timing=TimingMode.TOGETHER,
        left=EngineChoice("tensorrt-llm", "fp8", calibration="~/mine.txt", gpus=2),
        right_chat=chat,
        presets={"a name with = and “”": chat},
    )
    save_settings(path, settings)
    assert load_settings(path) == settings


def test_saving_leaves_one_file(tmp_path: Path) -> None:
    save_settings(tmp_path / "settings.toml", Settings())
    save_settings(tmp_path / "settings.toml", Settings(theme="nord"))
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize(
    ("text", "word"),
    [("context = 'long'", "context"), ("theme = [", "cannot be used"), ("timing = 'sometimes'", "timing")],
)
def test_a_broken_file_says_where(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=word) as error:
        load_settings(path)
    assert str(path) in str(error.value)


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("from_the_future = 1\ncontext = 99\n")
    assert load_settings(path).context == 99


def test_demo_is_a_folder_of_the_package() -> None:
    assert Settings().checkpoint_path == str(CHECKPOINT)
    assert msgspec.structs.replace(Settings(), checkpoint="org/name").checkpoint_path == "org/name"


def test_an_earlier_file_gives_both_sides_what_it_said(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("context = 99\nsystem_prompt = 'Be short.'\n[sampling]\ntemperature = 1\nstop = ['x']\n")
    settings = load_settings(path)
    assert settings.left_chat == settings.right_chat
    assert settings.left_chat == ChatOptions("Be short.", Sampling(temperature=1.0, stop=("x",)))
    assert settings.context == 99
    save_settings(path, settings)
    assert load_settings(path) == settings


def test_an_engine_of_an_earlier_file_has_no_options(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[left]\nbackend = 'tensorrt-llm'\nprecision = 'fp8'\n")
    assert load_settings(path).left == EngineChoice("tensorrt-llm", "fp8", "auto", "", 1)
    assert load_settings(path).left.options == {}


def test_what_a_newer_file_says_of_a_side_counts_more(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("system_prompt = 'old'\n[left_chat]\nsystem_prompt = 'new'\n")
    settings = load_settings(path)
    assert (settings.left_chat.system_prompt, settings.right_chat.system_prompt) == ("new", "old")


def test_a_wrong_value_of_a_side_says_where(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[left_chat.sampling]\ntemperature = 'hot'\n")
    with pytest.raises(SettingsError, match=r"left_chat\.sampling\.temperature"):
        load_settings(path)


def test_swapping_takes_everything_of_a_side() -> None:
    settings = Settings(left_chat=ChatOptions("left"), right=EngineChoice("pytorch", "bf16"))
    once = msgspec.structs.replace(settings, **swapped(settings))
    assert once.right_chat == ChatOptions("left")
    assert once.left == EngineChoice("pytorch", "bf16")
    assert msgspec.structs.replace(once, **swapped(once)) == settings


def test_of_several_that_are_pending_the_latest_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "config" / "settings.toml"
    file = SettingsFile(path)
    for context in range(100, 150):
        file.set_pending(Settings(context=context))
        if context % 10 == 0:
            threading.Thread(target=file.write).start()
    file.write()
    assert load_settings(path).context == 149
    path.unlink()
    file.write()
    assert not list(path.parent.iterdir())


def test_without_a_file_nothing_is_saved(own_folders: Path) -> None:
    file = SettingsFile(None)
    file.set_pending(Settings())
    file.write()
    assert list(own_folders.iterdir()) == []


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.mkdir()  # in the place of the file
    file = SettingsFile(path)
    file.set_pending(Settings(theme="nord"))
    for _ in range(2):
        with pytest.raises(OSError, match=r"settings\.toml cannot be used"):
            file.write()
        assert file.unsaved
    path.rmdir()
    file.write()
    assert not file.unsaved
    assert load_settings(path).theme == "nord"


def test_a_file_that_became_invalid_is_left_alone_until_it_is_corrected(tmp_path: Path) -> None:
    """The file is edited while the app runs."""
    path = tmp_path / "settings.toml"
    save_settings(path, Settings(context=99))
    file = SettingsFile(path, load_settings(path))
    path.write_text("context = 77\ntiming = 'some")
    file.set_pending(Settings(context=99, theme="nord"))
    with pytest.raises(OSError, match=r"cannot be used.*Correct the file, or delete it"):
        file.write()
    assert path.read_text() == "context = 77\ntiming = 'some"
    path.write_text("context = 77\ntiming = 'together'")
    file.write()
    assert load_settings(path) == Settings(context=77, theme="nord", timing=TimingMode.TOGETHER)


def test_fields_of_a_newer_version_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("from_the_future = [1, 2]\ncontext = 99\n")
    file = SettingsFile(path, load_settings(path))
    file.set_pending(Settings(context=99, theme="nord"))
    file.write()
    assert "from_the_future = [1, 2]" in " ".join(path.read_text().split()).replace("[ 1, 2, ]", "[1, 2]")
    assert load_settings(path) == Settings(context=99, theme="nord")


def test_a_backend_of_another_version_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[left]\nbackend = 'a-later-one'\nprecision = 'fp3'\n")
    settings = load_settings(path)
    assert settings.left == EngineChoice("a-later-one", "fp3")
    assert settings.left.options == {}
    save_settings(path, settings)
    assert load_settings(path) == settings
