"""What engines are called."""

from __future__ import annotations

from pathlib import Path

from app.state.settings.settings import DEMO
from app.terminal_text import displayable
from engines.backends.registry import BACKENDS
from engines.build.spec import EngineSpec
from engines.build.stored_engine import StoredEngine
from engines.demo import CHECKPOINT
from engines.plan.checkpoint.hub_cache import hub_snapshot

DEMO_FOLDER = CHECKPOINT.parts[-3:]
"""`engines/demo/checkpoint`."""


def engine_title(spec: EngineSpec) -> str:
    """Return `OpenVINO int8`, or `TensorRT-LLM fp8 on 2 GPUs` where its weights are split.

    A backend that this release does not have is called by its name in the settings.
    """
    entry = BACKENDS.get(spec.backend)
    split = f" on {spec.gpus} GPUs" if entry and spec.gpus > 1 else ""
    return f"{entry.title if entry else spec.backend} {spec.precision}{split}"


def stored_title(spec: EngineSpec) -> str:
    """Return the engine's title and its calibration text: two stored engines may differ in that alone."""
    title = engine_title(spec)
    return f"{title}, {file_name(spec.calibration)}" if spec.calibration else title


def stored_checkpoint(entry: StoredEngine) -> str:
    """Return `demo`, the hub id, or the name of the checkpoint's folder."""
    folder = Path(entry.spec.checkpoint)
    if folder.parts[-len(DEMO_FOLDER) :] == DEMO_FOLDER:  # also of another installation
        return DEMO
    snapshot = hub_snapshot(folder)
    return displayable(snapshot[0]) if snapshot else file_name(entry.spec.checkpoint)


def file_name(path: str) -> str:
    """Return the name of a file in one line, with control characters replaced."""
    return " ".join(displayable(Path(path).name).split())
