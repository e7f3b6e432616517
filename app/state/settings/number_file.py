"""A small JSON file of numbers by name, such as measured times, which several apps add to."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

from app.state.settings.atomic_file import PUBLIC, write_atomic
from app.state.settings.file_lock import locked

MAX_NAMES = 500
"""The newest are kept."""

_unsaved: dict[Path, dict[str, float]] = {}
"""Numbers that a file does not have yet, by the file."""


def read_numbers(file: Path) -> dict[str, float]:
    """Return the positive numbers of a file, and those that could not be written yet. Damage is ignored."""
    return _read(file) | _unsaved.get(file, {})


def add_number(file: Path, name: str, value: float) -> None:
    """Add a number to the file, which another app may change at the same time.

    Where the file cannot be written, this app uses the number, and saves it with the next one.
    """
    unsaved = _unsaved.setdefault(file, {})
    unsaved[name] = value
    with contextlib.suppress(OSError), locked(file):
        known = read_numbers(file)
        known[name] = known.pop(name)  # the newest last
        newest = dict(list(known.items())[-MAX_NAMES:])
        write_atomic(file, json.dumps(newest).encode(), PUBLIC)
        unsaved.clear()


def _read(file: Path) -> dict[str, float]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: float(one) for name, one in found.items() if _is_positive(one)}


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value > 0
