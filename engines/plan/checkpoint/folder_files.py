"""Check the files of a folder before a library opens them by itself.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import broken, size_limit
from engines.regular_file import read_start, special_kind

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""How a file begins that git clones in place of a large file, without git-lfs."""
MAX_POINTER_BYTES = 1024
TEMPLATES = "additional_chat_templates"
"""The only subfolder that transformers reads by default."""
MAX_FILES = 10_000
"""A checkpoint with a shard for each layer has some hundred."""


def refuse_undecodable(path: str) -> None:
    """Refuse a path with bytes that are not UTF-8: the manifest is JSON, and libraries fail on it later.

    Raises:
        EngineError: it is one (`undecodable-path`).
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        message = f"The path of the checkpoint is not valid UTF-8: {path!a}."
        raise EngineError("undecodable-path", message, "Rename the folder.") from error


def refuse_unsafe_files(folder: Path) -> None:
    """Check that each file of a checkpoint is a regular file of a size that its kind can have.

    A library would wait for a pipe, or read a device without end. What is missing is left to the readers.

    Raises:
        EngineError: a file is not regular or too large (`broken-config`), or there are too many.
        OSError: the folder cannot be listed.
    """
    for entry in _entries(folder):
        _refuse(Path(entry.path), folder, "broken-config")
    if (folder / TEMPLATES).is_dir():
        for entry in _entries(folder / TEMPLATES):
            _refuse(Path(entry.path), folder, "broken-config")


def refuse_lfs_pointer(file: Path, code: str) -> None:
    """Check that a file is not what git has cloned in its place.

    Raises:
        EngineError: with `code`: it is a pointer of git-lfs.
        OSError: it cannot be read.
    """
    if file.stat().st_size <= MAX_POINTER_BYTES and read_start(file, len(LFS_POINTER)) == LFS_POINTER:
        message = f"{file.name} is a pointer of git-lfs, not the file itself."
        raise EngineError(code, message, f"Run `git lfs pull` in {file.parent}.")


def refuse_special_files(engine: Path) -> None:
    """Check that everything below the folder of a stored engine is a regular file or a folder.

    Raises:
        EngineError: something else is there (`broken-engine`).
    """
    for parent, _, names in os.walk(engine):
        for name in names:
            _refuse(Path(parent, name), engine, "broken-engine")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count == MAX_FILES:
                raise EngineError(
                    "broken-config",
                    f"{folder.name} holds more than {MAX_FILES:,} files.",
                    "Choose a folder with one checkpoint.",
                )
            yield entry


def _refuse(file: Path, folder: Path, code: str) -> None:
    try:
        status = file.stat()
    except OSError:
        if file.is_symlink() and size_limit(file.name) is not None:
            raise broken(file, code, "it is a link to a file that is missing") from None
        return
    if file.is_dir():
        return
    if kind := special_kind(status.st_mode):
        raise _unusable(file, folder, code, f"it is {kind}, not a regular file")
    limit = size_limit(file.name)
    if code == "broken-config" and limit is not None and status.st_size > limit:
        raise broken(file, code, f"it has {status.st_size:,} bytes, and at most {limit:,} are read")
    if code == "broken-config" and limit is not None:
        refuse_lfs_pointer(file, code)


def _unusable(file: Path, folder: Path, code: str, why: str) -> EngineError:
    if code == "broken-engine":
        message = f"The engine's file {file.relative_to(folder)} cannot be used: {why}."
        return EngineError(code, message, "Prepare the engine again.")
    return broken(file, code, why)
