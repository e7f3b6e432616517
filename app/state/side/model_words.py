"""Which model a chat is with, and which answers another one has given."""

from __future__ import annotations

from collections.abc import Iterable

from app.state.conversation.turn import Turn
from app.state.settings.settings import TimingMode
from app.state.side.side import Side
from app.terminal_text import displayable


def model_words(sides: Iterable[Side]) -> str:
    """Return the checkpoint's name, for each side where they differ; empty before one was chosen."""
    names = {side.name: displayable(side.model_name) for side in sides if side.model_name}
    if len(set(names.values())) > 1:
        return ", ".join(f"{side} {name}" for side, name in names.items())
    return next(iter(names.values()), "")


def origin_words(turn: Turn, side: Side, mode: TimingMode) -> tuple[str, ...]:
    """Return checkpoint, engine and timing mode of an answer, each only if it differs from the present one.

    The title of the chat names the present ones, so that an answer says only what the title does not.

    Args:
        side: where the turn is shown.
        mode: the present one.
    """
    if not turn.answer:
        return ()
    other_model = bool(turn.checkpoint) and turn.checkpoint != side.model_name
    pieces = [turn.checkpoint if other_model else "", turn.engine if turn.engine != side.title else ""]
    by = " ".join(filter(None, pieces))
    words = (f"by {displayable(by)}" if by else "", turn.mode if turn.mode != mode else "")
    return tuple(filter(None, words))
