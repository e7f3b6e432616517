"""Read files that strangers made: regular files only, up to a size, and never a read that waits.

Standard library only, Python 3.10 and newer: workers in other environments use it too.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_CHUNK = 1 << 20


class UnusableFile(OSError):  # noqa: N818 - used as the OSErrors that open and read raise
    """A file that exists and is not read. `strerror` says why, such as "it is a named pipe"."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(errno.EINVAL, why, str(file))


def special_kind(mode: int) -> str:
    """Return what a file of this `st_mode` is, such as `a named pipe`; empty for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "no regular file")


def read_regular(file: Path, limit: int) -> bytes:
    """Return the content of a regular file, through links.

    Args:
        limit: largest accepted size in bytes.

    Raises:
        UnusableFile: it is a folder, pipe, socket or device, or larger than `limit`.
        OSError: it does not exist or cannot be read.
    """
    data = read_start(file, limit + 1)
    if len(data) > limit:
        raise UnusableFile(file, f"it is larger than {limit:,} bytes")
    return data


def read_start(file: Path, count: int) -> bytes:
    """Return the first `count` bytes of a regular file, or all of it; raises as `read_regular`."""
    descriptor = open_regular(file)
    try:
        return _read(descriptor, count)
    except BlockingIOError as error:  # files in /proc that call themselves regular
        raise UnusableFile(file, "reading it would wait") from error
    finally:
        os.close(descriptor)


def open_regular(file: Path) -> int:
    """Return a descriptor of a regular file for reading; raises as `read_regular`."""
    # Before the open, which has effects on some devices. The descriptor is checked too: the file may have
    # been replaced meanwhile, and O_NONBLOCK keeps the open of a pipe from waiting for a writer.
    _refuse_special(file, os.stat(file))  # noqa: PTH116 - Path.stat is the same
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse_special(file, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _read(descriptor: int, count: int) -> bytes:
    parts = []
    while count > 0 and (part := os.read(descriptor, min(count, _CHUNK))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _refuse_special(file: Path, status: os.stat_result) -> None:
    if kind := special_kind(status.st_mode):
        raise UnusableFile(file, f"it is {kind}")
