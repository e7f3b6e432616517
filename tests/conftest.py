"""Give every test separate folders, no network and no animations."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.hub import gguf_caches
from tests.doubles.hub import HubDouble, running_hub, use_endpoint

pytest_plugins = ["tests.runner.limits", "tests.runner.processes", "tests.runner.distribution"]
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# Read when Textual is imported. Each step of a scroll is a screen that is drawn and waited for.
os.environ["TEXTUAL_ANIMATIONS"] = "none"


def pytest_collection_finish() -> None:
    """Leave what is imported now out of garbage collections: PyTorch's objects take 0.5 s each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use separate folders for settings, engine store, logs, conversations and the caches of models."""
    for name in ("CONFIG", "CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setattr(gguf_caches, "LM_STUDIO", (str(tmp_path / "lm-studio"),))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRT_PLAYGROUND_CONFIG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, own_folders: Path) -> Path:
    """The hub cache of this test, in this process and in workers."""
    from huggingface_hub import constants

    folder = own_folders / "hub" / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[HubDouble]:
    """A double of the hub that huggingface_hub uses in this process and in workers."""
    with running_hub() as (double, address):
        use_endpoint(monkeypatch, address)
        yield double
