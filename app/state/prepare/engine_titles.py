"""What engines are called."""

from __future__ import annotations

from pathlib import Path

from app.state.settings.settings import DEMO
from app.terminal_text import displayable
from engines.backends.registry import engine_title as engine_title
from engines.build.options import builds_uncalibrated
from engines.build.spec import EngineSpec
from engines.build.stored_engine import StoredEngine
from engines.demo import CHECKPOINT
from engines.plan.checkpoint.hub_cache import hub_snapshot, looks_like_hub_id

UNCALIBRATED = "not calibrated"
DEMO_FOLDER = CHECKPOINT.parts[-3:]
"""`engines/demo/checkpoint`."""


def stored_title(spec: EngineSpec) -> str:
    """Return the engine's title and its calibration: two stored engines may differ in that alone."""
    title = engine_title(spec)
    if spec.calibration:
        return f"{title}, {file_name(spec.calibration)}"
    uncalibrated = builds_uncalibrated(spec.backend, spec.precision) and not spec.recipe
    return f"{title}, {UNCALIBRATED}" if uncalibrated else title


def stored_checkpoint(entry: StoredEngine) -> str:
    """Return the checkpoint's name as `checkpoint_title`."""
    return checkpoint_title(entry.spec.checkpoint)


def checkpoint_title(checkpoint: str) -> str:
    """Return `demo`, the hub id, or the folder's name of the checkpoint that a spec names."""
    folder = Path(checkpoint)
    if folder.parts[-len(DEMO_FOLDER) :] == DEMO_FOLDER:  # also of another installation
        return DEMO
    if snapshot := hub_snapshot(folder):
        return displayable(snapshot[0])
    return checkpoint if looks_like_hub_id(checkpoint) else file_name(checkpoint)


def file_name(path: str) -> str:
    """Return the name of a file in one line, with control characters replaced."""
    return " ".join(displayable(Path(path).name).split())
