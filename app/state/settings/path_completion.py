"""Completions of a path while it is typed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MOST = 200
"""Entries shown: another letter makes a longer list shorter."""


@dataclass(frozen=True)
class PathEntry:
    """A file or folder that completes a path."""

    path: str
    """The completed path; a folder ends in the separator."""
    name: str
    """The last component, with the same ending."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.endswith(os.sep)


def matching_paths(text: str) -> list[PathEntry]:
    """Return the entries that begin with `text`, folders first; hidden ones only where a dot is written.

    Not for the event loop. Names that a terminal cannot show are skipped.

    Raises:
        OSError: the folder cannot be read.
        RuntimeError: the home folder is unknown, so `~` cannot be expanded.
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
    """Return the longest common prefix of the entries; the text where there is none longer."""
    first, *others = [entry.path for entry in entries] or [text]
    sizes = range(len(first), len(text), -1)
    common = (first[:size] for size in sizes if all(one.startswith(first[:size]) for one in others))
    return next(common, text)


def _split(text: str) -> tuple[str, str]:
    """Return the folder with its separator, and the start of the name."""
    if text == "~":
        return f"~{os.sep}", ""
    head, separator, start = text.rpartition(os.sep)
    return head + separator, start


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
