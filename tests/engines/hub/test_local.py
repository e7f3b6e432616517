"""Local models: each once, from all places, within bounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.demo import CHECKPOINT
from engines.hub import local
from engines.hub.local import local_models

COMMIT = "c" * 40


def make_model(folder: Path, size: int = 10) -> Path:
    """Make a folder that looks like a model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(size))
    return folder


def kinds(recents: list[Path], folders: list[Path], cache: Path) -> list[tuple[str, str]]:
    """Return kind and name of what is found."""
    return [(one.kind, one.name) for one in local_models(recents, folders, cache)]


def test_all_places_in_order(tmp_path: Path) -> None:
    used = make_model(tmp_path / "elsewhere" / "used")
    cache = tmp_path / "cache"
    snapshot = make_model(cache / "models--org--name" / "snapshots" / COMMIT, 30)
    make_model(tmp_path / "models" / "b")
    make_model(tmp_path / "models" / "org" / "a")
    make_model(tmp_path / "models" / "too" / "deep" / "below")
    (tmp_path / "models" / "no-weights").mkdir()
    (tmp_path / "models" / "no-weights" / "config.json").write_text("{}")
    found = local_models([used, tmp_path / "gone"], [tmp_path / "models"], cache)
    assert [(one.kind, one.name) for one in found] == [
        ("demo", "checkpoint"),
        ("recent", "used"),
        ("hub cache", "org/name"),
        ("folder", "b"),
        ("folder", "a"),
    ]
    assert (found[2].hub_id, found[2].path, found[2].weight_bytes) == ("org/name", snapshot, 30)
    assert found[0].path == CHECKPOINT
    assert all(one.last_used > 0 for one in found)


def test_each_model_is_listed_once(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    snapshot = make_model(cache / "models--org--name" / "snapshots" / COMMIT)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "link").symlink_to(snapshot)
    found = kinds([snapshot, CHECKPOINT, snapshot], [tmp_path / "models", cache], cache)
    assert found == [("demo", "checkpoint"), ("recent", "org/name")]


def test_links_that_go_round(tmp_path: Path) -> None:
    models = tmp_path / "models"
    make_model(models / "a")
    (models / "round").symlink_to(models)
    (models / "up").symlink_to(tmp_path)
    (models / "nothing").symlink_to(tmp_path / "nothing")
    assert kinds([], [models, models], tmp_path / "none") == [("demo", "checkpoint"), ("folder", "a")]


def test_the_number_of_folders_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_FOLDERS", 4)
    for number in range(9):
        make_model(tmp_path / "models" / str(number))
    assert len(kinds([], [tmp_path / "models"], tmp_path / "none")) == 1 + 3


def test_what_is_no_model_is_left_out(tmp_path: Path) -> None:
    models = tmp_path / "models"
    pipe, folder = make_model(models / "pipe"), make_model(models / "folder")
    for one in (pipe, folder):
        (one / "model.safetensors").unlink()
    os.mkfifo(pipe / "model.safetensors")
    (folder / "model.safetensors").mkdir()
    make_model(models / ".hidden")
    make_model(models / "named \x1b[31m")
    (tmp_path / "file").write_text("")
    found = kinds(
        [tmp_path / "file", Path("~unknown-user/x")], [models, tmp_path / "file"], tmp_path / "none"
    )
    assert found == [("demo", "checkpoint"), ("folder", "named \x1b[31m")]
