"""Starts turns on both sides, and finds the turns that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.state.conversation.alignment import counterpart, index_of
from app.state.conversation.attachment import Attachment
from app.state.conversation.turn import Turn
from app.state.side.phase import Phase
from app.state.side.side import Side


def present(sides: Iterable[Side]) -> list[Side]:
    """Return the sides that have an engine, or had one that failed."""
    return [side for side in sides if side.phase is not Phase.EMPTY]


def side_of(turn: Turn, sides: Iterable[Side]) -> Side:
    """Return the side whose conversation shows a turn.

    Raises:
        StopIteration: none does.
    """
    return next(side for side in sides if index_of(turn, side.conversation) is not None)


def indices_by_side(turn: Turn, sides: Iterable[Side]) -> dict[Side, int]:
    """Return the index of a turn on every side that has an engine and was asked the same."""
    sides = tuple(sides)
    source = side_of(turn, sides).conversation
    found = {side: counterpart(turn, source, side.conversation) for side in present(sides)}
    return {side: index for side, index in found.items() if index is not None}


def begin(
    sides: Iterable[Side], prompt: str, attachments: tuple[Attachment, ...], edited: Turn | None = None
) -> dict[Side, Turn]:
    """Start a turn on every side that has an engine.

    Args:
        edited: the turn that this prompt replaces; then it starts a version of it on the sides that have it.
    """
    sides = tuple(sides)
    indices = indices_by_side(edited, sides) if edited else {}
    turns = {}
    for side in indices or present(sides):
        version = None
        if side in indices:
            version = side.conversation.begin_again(side.title, indices[side], prompt, attachments)
        turns[side] = version or side.conversation.begin(prompt, side.title, attachments)
    return turns


def begin_again(indices: Mapping[Side, int]) -> dict[Side, Turn]:
    """Start another version of a turn, given by its index, on each side."""
    turns = {side: side.conversation.begin_again(side.title, index) for side, index in indices.items()}
    return {side: turn for side, turn in turns.items() if turn}


def last_turns(sides: Iterable[Side]) -> dict[Side, int]:
    """Return the index of the turn to regenerate: on the sides whose last turn failed, else on all."""
    asked = {side: -1 for side in present(sides) if side.conversation.turns}
    failed = {side: -1 for side in asked if side.conversation.turns[-1].error}
    return failed or asked


def neighbouring_version(turn: Turn, side: Side, step: int) -> int | None:
    """Return the number of the version `step` after a turn of a side; None where there is none."""
    conversation = side.conversation
    index = index_of(turn, conversation)
    if index is None:
        return None
    versions = conversation.versions(index)
    place = next(place for place, one in enumerate(versions) if one is turn) + step
    return conversation.number(versions[place]) if 0 <= place < len(versions) else None
