"""Read the start of a file in pieces, within limits that are checked before anything is allocated.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import broken
from engines.regular_file import open_regular

PIECE = 1 << 20
MAX_HEADER_BYTES = 100_000_000
"""Largest header that is read. Gemma's, with 262,144 tokens, has 14 MB."""


class ByteSource:
    """The bytes of a file from its start to where they were read; the rest is read when it is needed."""

    def __init__(self, file: Path, descriptor: int) -> None:
        self.file = file
        self.size = os.fstat(descriptor).st_size
        self.at = 0
        """The next byte."""
        self.data = bytearray()
        """What was read. It only grows, so a place in it stays valid."""
        self._descriptor = descriptor

    def need(self, count: int) -> None:
        """Read on until `count` bytes follow `at`.

        Raises:
            EngineError: the file or the header that is read at most ends before (`broken-weights`).
        """
        end = self.at + count
        if end > self.size:
            raise self.broken("it is cut off in its header")
        if end > MAX_HEADER_BYTES:
            raise self.broken(f"its header has more than {MAX_HEADER_BYTES:,} bytes")
        while len(self.data) < end:
            piece = os.pread(self._descriptor, max(PIECE, end - len(self.data)), len(self.data))
            if not piece:
                raise self.broken("it became shorter while it was read")
            self.data += piece

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        self.need(count)
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def number(self, form: str) -> int | float | bool:
        """Return the next value in a little-endian form of `struct`."""
        width = struct.calcsize(form)
        self.need(width)
        self.at += width
        value: int | float | bool = struct.unpack_from(f"<{form}", self.data, self.at - width)[0]
        return value

    def unsigned(self, form: str = "Q") -> int:
        """Return the next unsigned number, of 64 bits by default."""
        return int(self.number(form))

    def broken(self, why: str) -> EngineError:
        """Return the error for a damaged file."""
        return broken(self.file, "broken-weights", why)


@contextmanager
def byte_source(file: Path) -> Iterator[ByteSource]:
    """Open a regular file for reading.

    Raises:
        OSError: it is no regular file, does not exist or cannot be read.
    """
    descriptor = open_regular(file)
    try:
        yield ByteSource(file, descriptor)
    finally:
        os.close(descriptor)
