"""Why nothing can be asked just now, in words."""

from __future__ import annotations

from collections.abc import Sequence

from app.state.side.phase import ANSWERING, Phase
from app.state.side.side import Side

STILL_ANSWERING = "Still answering. Esc stops it."


def answering(sides: Sequence[Side]) -> bool:
    """Whether an answer is under way on any side."""
    return any(side.phase in ANSWERING for side in sides)


def reason_to_wait(sides: Sequence[Side], *, to_ask: bool) -> str:
    """What the user has to wait for; empty where nothing is in the way.

    Args:
        sides: both.
        to_ask: whether an engine must be there, and a prompt is to be kept.
    """
    if answering(sides):
        return STILL_ANSWERING
    opening = [side.name for side in sides if side.phase in (Phase.PREPARING, Phase.LOADING)]
    if opening:
        late = "Both engines are" if len(opening) == 2 else f"The {opening[0]} engine is"
        return f"{late} not ready yet.{' Your prompt is kept.' if to_ask else ''}"
    if to_ask and not any(side.can_answer for side in sides):
        failed = any(side.phase is Phase.FAILED for side in sides)
        return "There is no engine: " + ("F9 restarts it." if failed else "F2 chooses one.")
    return ""
