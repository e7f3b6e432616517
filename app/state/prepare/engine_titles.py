"""Titles of stored engines and of their checkpoints."""

from __future__ import annotations

from pathlib import Path

from app.state.settings.settings import DEMO
from app.state.side.pacing import displayable
from app.state.side.side import engine_title
from engines.backends.registry import BACKENDS
from engines.build.spec import EngineSpec
from engines.build.stored_engine import StoredEngine
from engines.demo import CHECKPOINT
from engines.plan.checkpoint.hub_cache import hub_snapshot

DEMO_FOLDER = CHECKPOINT.parts[-3:]
"""`engines/demo/checkpoint`."""


def stored_title(spec: EngineSpec) -> str:
    """Return the title as on the chat, with the user's calibration file: two engines may differ in that only.

    A backend that this release does not know is named as in the manifest.
    """
    title = engine_title(spec) if spec.backend in BACKENDS else f"{spec.backend} {spec.precision}"
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
