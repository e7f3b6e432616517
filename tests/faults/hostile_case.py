"""What the cases share: their type, and edits of JSON files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Case = Callable[[Path], "Path | None"]
"""Damages the checkpoint in a folder; returns another folder if that one is to be opened."""


def edit(file: str, change: Callable[[Any], object]) -> Case:
    """Return the case that changes the JSON value of a file in place; `change` may return another value."""

    def case(folder: Path) -> None:
        path = folder / file
        value = json.loads(path.read_text("utf-8")) if path.exists() else {}
        changed = change(value)
        path.write_text(json.dumps(value if changed is None else changed), "utf-8")

    return case


def update(file: str, **fields: object) -> Case:
    """Return the case that sets fields of a JSON object."""
    return edit(file, lambda value: value.update(fields))


def remove(file: str, *fields: str) -> Case:
    """Return the case that removes fields of a JSON object."""
    return edit(file, lambda value: [value.pop(field, None) for field in fields] and None)


def content(file: str, data: str | bytes) -> Case:
    """Return the case that replaces a file."""

    def case(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).write_bytes(data.encode() if isinstance(data, str) else data)

    return case


def delete(*files: str) -> Case:
    """Return the case that removes files."""
    return lambda folder: [(folder / file).unlink(missing_ok=True) for file in files] and None


def both(*cases: Case) -> Case:
    """Return the case that does all of these."""

    def case(folder: Path) -> Path | None:
        for one in cases:
            folder = one(folder) or folder
        return folder

    return case
