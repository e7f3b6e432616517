"""Checks the values of an event where it is decoded, so that no later code meets an impossible one.

A number that no correct worker sends raises ProtocolError; text is made valid and clipped instead, because it
is only shown. Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from engines.worker.codec import ProtocolError

LARGEST = 2**63 - 1
"""The largest integer that a saved conversation and the libraries that draw can hold."""
TEXT_CHARACTERS = 4_000
"""Characters of a text that is shown: a message, a line of the log, the name of a stage."""
DETAIL_CHARACTERS = 64_000
"""Characters of a traceback or the end of a log."""
FACTS_DEPTH = 16
"""How deep the objects in `Prepared.facts` may be nested: they are written to the manifest."""
_LIMITS: dict[tuple[str, str], int | None] = {
    ("chunk", "text"): None,
    ("done", "text"): None,
    ("done", "thought"): None,
    ("error", "detail"): DETAIL_CHARACTERS,
    ("log", "line"): 1_000,  # the log view draws 500 lines
}
"""Characters by event and field, where it is not TEXT_CHARACTERS. None: `ReplyCheck` limits the answer."""
_AS_THEY_ARE = {("fetched", "folder")}
"""Paths: a name that is not valid UTF-8 has surrogates, which open(2) needs."""
_LOGARITHMS = {"logprobs", "top_logprobs"}
"""Fields whose numbers are negative; minus infinity is the logarithm of the probability 0."""

EventT = TypeVar("EventT")


def checked(event: EventT, kind: str = "") -> EventT:
    """Return an event with valid text.

    Args:
        kind: the type of the event in JSON, for a dataclass inside of it.

    Raises:
        ProtocolError: a number is negative, not finite or larger than LARGEST, or the facts are nested too
            deep.
    """
    kind = kind or event.TYPE  # type: ignore[attr-defined]
    changes = {}
    for field in fields(event):  # type: ignore[arg-type]
        before = getattr(event, field.name)
        after = _value(before, kind, field.name)
        if after is not before:
            changes[field.name] = after
    return replace(event, **changes) if changes else event  # type: ignore[type-var]


def _value(value: object, kind: str, name: str) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        limit = _LIMITS.get((kind, name), TEXT_CHARACTERS)
        return value if (kind, name) in _AS_THEY_ARE else valid_text(value, limit)
    if isinstance(value, (int, float)):
        _check_numbers((value,), kind, name)
    elif isinstance(value, tuple):
        return _tuple(value, kind, name)
    elif isinstance(value, dict):
        return _object(value, f"{kind}.{name}")
    elif is_dataclass(value):
        return checked(value, f"{kind}.{name}")
    return value


def _tuple(values: tuple[object, ...], kind: str, name: str) -> object:
    """Check the items, which have one type: the decoder has seen to it."""
    if values and isinstance(values[0], (int, float)):
        _check_numbers(values, kind, name)  # type: ignore[arg-type]
        return values
    found = tuple(_value(item, kind, name) for item in values)
    return values if all(new is old for new, old in zip(found, values)) else found  # noqa: B905 - Python 3.10


def _check_numbers(values: tuple[float, ...], kind: str, name: str) -> None:
    if name in _LOGARITHMS:
        valid = all(value < math.inf for value in values)  # NaN is not less than anything
    elif isinstance(values[0], int):
        valid = min(values) >= 0 and max(values) <= LARGEST
    else:
        valid = all(0 <= value < math.inf for value in values)
    if not valid:
        raise ProtocolError(f"{kind}.{name}: a number is negative, not finite or too large")


def _object(value: object, where: str, depth: int = 0) -> object:
    """Return a value that may be anything that JSON has, with valid text and numbers."""
    if depth > FACTS_DEPTH:
        raise ProtocolError(f"{where}: nested more than {FACTS_DEPTH} times")
    if isinstance(value, str):
        return valid_text(value, TEXT_CHARACTERS)
    if isinstance(value, dict):
        return {
            valid_text(str(key), TEXT_CHARACTERS): _object(one, where, depth + 1)
            for key, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_object(one, where, depth + 1) for one in value]
    if isinstance(value, (int, float)) and not (math.isfinite(value) and abs(value) <= LARGEST):
        raise ProtocolError(f"{where}: a number is not finite or too large")
    return value


def valid_text(text: str, limit: int | None) -> str:
    """Return the text with `?` for half of a surrogate pair, which UTF-8 cannot encode, and clipped."""
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
