"""Merge the settings of two apps field by field, as a version control system merges files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, Any]
"""Settings as plain values: numbers, strings, lists and dicts."""

# An engine (left, right) is one value: the precision of one app with the backend of another may not exist.
# So is a preset: its fields were saved together.
_CHAT: dict[str, Any] = {"sampling": {}}
SEPARATE: Mapping[str, Any] = {"left_chat": _CHAT, "right_chat": _CHAT, "presets": {}, "interpreters": {}}
"""Fields that are merged by their own fields or names."""


def merge(base: Fields, mine: Fields, theirs: Fields, separate: Mapping[str, Any] = SEPARATE) -> Fields:
    """Return `theirs` with every field that differs between `base` and `mine`.

    Args:
        base: the fields that `mine` was made from.
        mine: the fields of this app. One that is missing was deleted, if `base` has it.
        theirs: the fields that are in the file now.
        separate: names of fields that are dicts and merged in the same way.
    """
    if theirs == base:
        return mine
    found = {}
    for name in [*theirs, *(name for name in mine if name not in theirs)]:
        if name in separate and all(isinstance(one.get(name), dict) for one in (base, mine, theirs)):
            found[name] = merge(base[name], mine[name], theirs[name], separate[name])
            continue
        source = theirs if mine.get(name) == base.get(name) else mine
        if name in source:
            found[name] = source[name]
    return found
