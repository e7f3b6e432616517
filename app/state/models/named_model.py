"""What is known of a model that was named: the demo, a folder or a hub id."""

from __future__ import annotations

from dataclasses import dataclass

from app.state.settings.settings import DEMO
from engines.build.prepare import local_folder
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.hub.suggested import SUGGESTED
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint


@dataclass(frozen=True)
class NamedModel:
    """A name, and what was found under it."""

    name: str
    checkpoint: Checkpoint | None = None
    """None where it has a problem, or its facts are not on this disk."""
    problem: str = ""
    """Why it cannot be used, and what to do."""
    is_remote: bool = False
    """Whether it has to be downloaded."""


def named_model(name: str) -> NamedModel:
    """Return what this disk has under a name. Blocking."""
    if not name:
        return NamedModel(name, problem="Choose a model from the list, or type a folder or a hub id.")
    try:
        folder = CHECKPOINT if name == DEMO else local_folder(EngineSpec(name, "", ""))
        if folder:
            return NamedModel(name, read_checkpoint(folder))
        suggested = next((one for one in SUGGESTED if one.hub_id == name), None)
        return NamedModel(name, suggested.checkpoint if suggested else None, is_remote=True)
    except EngineError as error:
        return NamedModel(name, problem=f"{error.message} {error.hint}".strip())
