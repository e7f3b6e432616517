"""Give every test separate folders and no network."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.runner.limits", "tests.runner.processes", "tests.runner.distribution"]
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def pytest_collection_finish() -> None:
    """Leave what is imported now out of garbage collections: PyTorch's objects take 0.5 s each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use separate folders for settings, engine store, logs, conversations and the hub cache."""
    for name in ("CONFIG", "CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRT_PLAYGROUND_CONFIG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
