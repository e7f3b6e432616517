"""Files of a folder: listed, summed and deleted. Blocking: never on an event loop."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """Return all regular files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder; what cannot be read counts as 0."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(parent, name).lstat().st_size
    return total


def delete(path: Path) -> None:
    """Delete a folder, a file or a link; nothing happens if it is gone.

    Raises:
        OSError: it cannot be deleted.
    """
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)


def try_delete(folder: Path) -> None:
    """Delete a folder that may be gone, or that a process which is being killed still writes to."""
    for _ in range(3):
        with contextlib.suppress(OSError):
            delete(folder)
        if not os.path.lexists(folder):
            return
