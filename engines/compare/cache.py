"""What a comparison keeps on disk: the reference's log-probabilities, and the results that are finished."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from engines.compare.comparison import Row
from engines.worker.protocol import Scored

Result = TypeVar("Result")
LARGEST = 8_000_000_000
"""Bytes of all references together; the ones that were not used for longest are deleted."""
RESULTS = 200_000_000
"""The same for the results of one kind."""
SCORE_FORMAT = 2
"""Part of every key; raised when scores change their meaning, so that they are computed again. 2: those of
OpenVINO are at the KV cache's precision."""


def digest(*parts: object) -> str:
    """Return 20 hex digits of the SHA-256 of the parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


class ComparisonCache:
    """The files below one folder. A file that is missing or damaged is computed again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows_file(self, engine: str, token_ids: Sequence[int]) -> Path:
        """Return the file for the log-probabilities of a text by a reference.

        Raises:
            OSError: the folder cannot be made.
        """
        folder = self._folder / "references"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{digest(SCORE_FORMAT, engine, list(token_ids))}.npy"

    def reference(self, file: Path) -> Scored | None:
        """Return the reference's scores of a text, if its log-probabilities are kept in `file` too."""
        try:
            found = msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=Scored)
            os.utime(file)  # raises where the log-probabilities are missing
        except (OSError, ValueError):
            return None
        return found

    def keep_reference(self, file: Path, scored: Scored) -> None:
        """Keep the scores next to the log-probabilities, and delete the oldest references above LARGEST."""
        _write(file.with_suffix(".json"), msgspec.json.encode(scored))
        self.prune(file)

    def row(self, key: str) -> Row | None:
        """Return a finished row."""
        return self.load("rows", key, Row)

    def keep_row(self, key: str, row: Row) -> None:
        """Keep a finished row, so that a comparison that was interrupted continues after it.

        Raises:
            OSError: it cannot be written.
        """
        self.keep("rows", key, row)

    def load(self, kind: str, key: str, result: type[Result]) -> Result | None:
        """Return a kept result of this type; `kind` is the name of its folder."""
        file = self._folder / kind / f"{key}.json"
        try:
            found = msgspec.json.decode(file.read_bytes(), type=result)
        except (OSError, ValueError, RecursionError):
            return None
        with suppress(OSError):  # used now; a disk that cannot be written to is still read
            os.utime(file)
        return found

    def keep(self, kind: str, key: str, result: object) -> None:
        """Keep a result under its key, and delete the oldest ones of its kind above RESULTS.

        Raises:
            OSError: it cannot be written.
        """
        folder = self._folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{key}.json"
        _write(file, msgspec.json.encode(result))
        _prune(file, RESULTS)

    def prune(self, newest: Path) -> None:
        """Delete the references that were not used for longest until all together have LARGEST bytes.

        Args:
            newest: the log-probabilities that were just written, which stay.
        """
        _prune(newest, LARGEST)


def _prune(newest: Path, largest: int) -> None:
    """Delete the oldest files with the suffix of `newest` in its folder, above `largest` bytes together."""
    files = []
    for file in newest.parent.glob(f"*{newest.suffix}"):
        with suppress(OSError):
            status = file.stat()
            files.append((status.st_mtime, status.st_size, file))
    total = 0
    for _, size, file in sorted(files, reverse=True):
        total += size
        if total > largest and file != newest:
            for one in (file, file.with_suffix(".json")):
                one.unlink(missing_ok=True)


def _write(file: Path, data: bytes) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(file)
