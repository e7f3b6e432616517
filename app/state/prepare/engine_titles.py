"""How an engine of the store is called."""

from __future__ import annotations

from pathlib import Path

from app.state.side.pacing import displayable
from app.state.side.side import engine_title
from engines.backends.registry import BACKENDS
from engines.build.spec import EngineSpec


def stored_title(spec: EngineSpec) -> str:
    """As elsewhere, and the user's calibration text: two engines may differ in nothing else.

    A backend that this version does not know has its own name.
    """
    title = engine_title(spec) if spec.backend in BACKENDS else f"{spec.backend} {spec.precision}"
    return f"{title}, {file_name(spec.calibration)}" if spec.calibration else title


def file_name(path: str) -> str:
    """The name of a file in one line, whatever it holds."""
    return " ".join(displayable(Path(path).name).split())
