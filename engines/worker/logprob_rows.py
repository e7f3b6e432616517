"""Files with the log-probabilities of a whole vocabulary at each position of a text.

The reference of a comparison is scored once and its rows are kept; every other engine is compared with them,
so that only one engine is in memory at a time. In float16: after normalising again, the mean KL divergence
differs from that of float32 rows by less than 1e-5 nats.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from engines.errors import EngineError

LARGEST_FILE = 4_000_000_000
"""Bytes: 4,096 tokens of a vocabulary of 256,000 are 2.1 GB."""
SMALLEST_ROW = float(np.finfo(np.float16).min)
"""The log-probability that is kept for a probability of 0: -inf would turn differences into NaN."""


class RowWriter:
    """Writes rows one after the other. The file appears when all of them are written."""

    def __init__(self, path: Path, positions: int) -> None:
        """Create it.

        Args:
            path: the file, in an existing folder.
            positions: number of rows that will be written.
        """
        self._path = path
        self._positions = positions
        self._part = path.with_suffix(f".{os.getpid()}.part")
        self._file: BinaryIO | None = None
        self._written = 0

    def write(self, rows: Any) -> None:
        """Append rows.

        Args:
            rows: natural log-probabilities, [positions, vocabulary]; in float16 none is below SMALLEST_ROW.

        Raises:
            EngineError: `text-too-long`: the file would be larger than LARGEST_FILE.
            OSError: the disk is full, or the folder cannot be written.
        """
        file = self._file = self._file or self._open(rows.shape[1])
        if rows.dtype != np.float16:  # backends convert faster, on all cores
            rows = np.maximum(rows, SMALLEST_ROW)
        # Not a memory map, in which a full disk ends the process with a signal.
        file.write(np.ascontiguousarray(rows, np.float16).data)
        self._written += len(rows)
        if self._written == self._positions:
            file.close()
            self._part.replace(self._path)

    def close(self) -> None:
        """Remove what was written, unless all rows are there."""
        if self._file and self._written < self._positions:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def _open(self, vocabulary: int) -> BinaryIO:
        size = self._positions * vocabulary * 2
        if size > LARGEST_FILE:
            raise EngineError(
                "text-too-long",
                f"The log-probabilities of {self._positions:,} tokens would take {size / 1e9:.1f} GB.",
                "Compare a shorter text.",
            )
        file = self._part.open("wb")
        shape = (self._positions, vocabulary)
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        return file


class RowReader:
    """Rows that a RowWriter wrote."""

    def __init__(self, path: Path, positions: int) -> None:
        """Open the file.

        Raises:
            EngineError: `no-reference`: it is missing, damaged, or has another number of rows.
        """
        try:
            self._rows = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise _unusable(str(error)) from error
        if self._rows.ndim != 2 or self._rows.dtype != np.float16 or len(self._rows) != positions:
            raise _unusable(f"{self._rows.shape} values of {self._rows.dtype}")

    def rows(self, start: int, stop: int, vocabulary: int) -> Any:
        """Return log-probabilities [stop − start, vocabulary] in float16, a view of the file.

        A backend normalises them again in float32, on its own device.

        Raises:
            EngineError: `other-vocabulary`: the reference has another number of tokens.
        """
        if self._rows.shape[1] != vocabulary:
            raise EngineError(
                "other-vocabulary",
                f"The reference has {self._rows.shape[1]:,} token ids, and this engine {vocabulary:,}.",
                "Only engines of the same checkpoint can be compared.",
            )
        return self._rows[start:stop]


def _unusable(why: str) -> EngineError:
    return EngineError(
        "no-reference", f"The reference's log-probabilities cannot be read: {why}.", "Score it again."
    )
