"""A GGUF file on one side, and another checkpoint of the same model on the other."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from app.state.prepare.gguf_choice import gguf_file
from app.state.settings.settings import EngineChoice, Settings


def with_own_files(
    settings: Settings, checkpoint: str, choices: Mapping[str, EngineChoice]
) -> dict[str, object]:
    """Return the changes of the settings for engines that were chosen with a checkpoint.

    The settings have one checkpoint for both sides. Where one side is chosen, the other keeps what it runs:
    of a GGUF file and another checkpoint the file becomes that side's own.

    Args:
        choices: the choice of each side that was made, by name.
    """
    others = {"left", "right"} - set(choices)
    changes: dict[str, object] = {"checkpoint": checkpoint, **choices}
    before, is_file = settings.checkpoint, gguf_file(checkpoint) is not None
    if not others or checkpoint == before or is_file == (gguf_file(before) is not None):
        return changes
    if is_file:  # the other side runs a checkpoint that all backends read
        kept = {name: msgspec.structs.replace(one, checkpoint=checkpoint) for name, one in choices.items()}
        return {"checkpoint": before, **kept}
    for name in others:
        other: EngineChoice = getattr(settings, name)
        if not other.server.address and not other.checkpoint:
            changes[name] = msgspec.structs.replace(other, checkpoint=before)
    return changes
