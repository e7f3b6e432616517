"""Why no prompt can be sent now."""

from __future__ import annotations

from collections.abc import Sequence

from app.state.side.phase import ANSWERING, OPENING, Phase
from app.state.side.side import Side

STILL_ANSWERING = "Still answering. Esc stops it."


def answering(sides: Sequence[Side]) -> bool:
    """Return whether a side is answering."""
    return any(side.phase in ANSWERING for side in sides)


def reason_to_wait(sides: Sequence[Side], *, to_ask: bool) -> str:
    """Return what the user has to wait for; empty if nothing.

    Args:
        to_ask: whether an engine is needed, and a prompt is kept meanwhile.
    """
    if unresponsive := [side.name for side in sides if side.is_unresponsive]:
        return f"The {' and the '.join(unresponsive)} engine does not respond: F9 ends it."
    if answering(sides):
        return STILL_ANSWERING
    opening = [side.name for side in sides if side.phase in OPENING]
    if opening:
        engines = "Both engines are" if len(opening) == 2 else f"The {opening[0]} engine is"
        return f"{engines} not ready yet.{' Your prompt is kept.' if to_ask else ''}"
    if to_ask and not any(side.can_answer for side in sides):
        failed = any(side.phase is Phase.FAILED for side in sides)
        return "No engine is loaded: " + ("F9 restarts it." if failed else "F2 chooses one.")
    return ""
