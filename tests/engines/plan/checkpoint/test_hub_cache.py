"""The hub cache is read in huggingface_hub's layout, and only complete checkpoints are listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.plan.checkpoint.hub_cache import (
    hub_cache_checkpoints,
    hub_cache_folder,
    hub_snapshot,
    looks_like_hub_id,
)
from tests.engines.plan.folders import write_checkpoint

OLD, NEW = "a" * 40, "b" * 40


def add(cache: Path, model: str, revision: str, main: bool = False) -> Path:
    folder = write_checkpoint(cache / model / "snapshots" / revision)
    if main:
        (cache / model / "refs").mkdir(exist_ok=True)
        (cache / model / "refs" / "main").write_text(revision)
    return folder


def test_models_are_listed_by_name_with_main_first(tmp_path: Path) -> None:
    add(tmp_path, "models--org--zeta", OLD)
    add(tmp_path, "models--org--zeta", NEW, main=True)
    add(tmp_path, "models--gpt2", OLD, main=True)
    found = hub_cache_checkpoints(tmp_path)
    assert [(one.hub_id, one.revision, one.is_main) for one in found] == [
        ("gpt2", OLD, True),
        ("org/zeta", NEW, True),
        ("org/zeta", OLD, False),
    ]
    assert found[0].weight_bytes > 0
    assert hub_snapshot(found[1].folder) == ("org/zeta", NEW)


def test_incomplete_checkpoints_are_left_out(tmp_path: Path) -> None:
    (add(tmp_path, "models--org--no-config", OLD) / "config.json").unlink()
    (add(tmp_path, "models--org--no-weights", OLD) / "model.safetensors").unlink()
    add(tmp_path, "datasets--org--data", OLD)
    add(tmp_path, "models--org--odd", "main")
    (tmp_path / "models--org--empty").mkdir()
    (tmp_path / "version.txt").write_text("1")
    assert hub_cache_checkpoints(tmp_path) == []


def test_a_link_to_a_missing_blob_is_not_a_weight_file(tmp_path: Path) -> None:
    folder = add(tmp_path, "models--org--broken", OLD)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "models--org--broken" / "blobs" / "gone")
    assert hub_cache_checkpoints(tmp_path) == []


def test_a_missing_cache_is_empty(tmp_path: Path) -> None:
    assert hub_cache_checkpoints(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/a"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({"HF_HOME": "~/x"}, "/home/me/x/hub"),
        ({}, "/home/me/.cache/huggingface/hub"),
    ],
)
def test_environment_variables_have_the_order_of_huggingface_hub(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert hub_cache_folder() == Path(folder)


@pytest.mark.parametrize("text", ["gpt2", "org/name", "Qwen/Qwen3-0.6B", "a.b/c_d-e"])
def test_hub_ids_are_recognised(text: str) -> None:
    assert looks_like_hub_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/abs/path",
        "./name",
        "../name",
        "a/b/c",
        "a b",
        "~/model",
        "org/",
        "-x",
        "a--b",
        "a..b",
        "x.git",
        "a\n",
    ],
)
def test_other_texts_are_not_hub_ids(text: str) -> None:
    assert not looks_like_hub_id(text)
