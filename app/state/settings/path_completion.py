"""Files and folders that a path may go on with, as it is written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MOST = 200
"""More is not looked through by eye: another letter makes it fewer."""


@dataclass(frozen=True)
class PathEntry:
    """One of them."""

    path: str
    """As it would be written; a folder ends in the separator."""
    name: str
    """Its last part, with the same ending."""

    @property
    def is_folder(self) -> bool:
        """Whether there is more below it."""
        return self.path.endswith(os.sep)


def matching_paths(text: str) -> list[PathEntry]:
    """What begins as `text` does, folders first; hidden ones only where a dot is written.

    Never on the event loop. Names that no terminal can show are left out.

    Raises:
        OSError: the folder cannot be looked into.
        RuntimeError: `~` stands for no folder here.
    """
    folder, start = _split(text)
    with os.scandir(Path(folder).expanduser()) as entries:
        names = [
            entry.name + os.sep * _is_folder(entry)
            for entry in entries
            if entry.name.casefold().startswith(start.casefold())
            and entry.name.isprintable()
            and (start or not entry.name.startswith("."))
        ]
    names.sort(key=lambda name: (not name.endswith(os.sep), name.casefold()))
    return [PathEntry(folder + name, name) for name in names[:MOST]]


def common_prefix(text: str, entries: list[PathEntry]) -> str:
    """The text with all that the entries have in common."""
    first, *others = [entry.path for entry in entries] or [text]
    sizes = range(len(first), len(text), -1)
    common = (first[:size] for size in sizes if all(one.startswith(first[:size]) for one in others))
    return next(common, text)


def _split(text: str) -> tuple[str, str]:
    """The folder, its separator at the end, and how the name begins."""
    if text == "~":
        return f"~{os.sep}", ""
    head, separator, start = text.rpartition(os.sep)
    return head + separator, start


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
