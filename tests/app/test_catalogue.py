"""The list of models, without a screen."""

from __future__ import annotations

from pathlib import Path

from app.state.models.catalogue import Context, local_and_suggested
from app.state.settings.settings import Settings
from engines.build.store import EngineStore
from engines.plan.hardware.hardware import cpu


def test_a_shape_is_listed_while_it_is_chosen(tmp_path: Path) -> None:
    """Otherwise the list would highlight another model than the one whose engines Enter opens."""
    store = EngineStore(tmp_path)
    entries = local_and_suggested(Context(Settings(checkpoint="shape:llama-3.1-8b"), cpu(), None, store))
    assert entries[0].name == entries[0].title == "shape:llama-3.1-8b"
    assert entries[0].weight_bytes == 2 * (entries[0].parameters or 0) > 16e9
    assert entries[0].fit

    others = local_and_suggested(Context(Settings(), cpu(), None, store))
    assert not [one for one in others if one.name.startswith("shape:")]
