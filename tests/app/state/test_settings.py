"""Settings survive a round trip, and a broken file is told in words."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from app.state.settings import (
    ChatOptions,
    EngineChoice,
    Settings,
    SettingsError,
    TimingMode,
    load_settings,
    save_settings,
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
        left=EngineChoice("pytorch", "bf16"),
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
