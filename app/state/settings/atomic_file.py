"""Write a file in one step: after a crash, or on a full disk, it has the old content or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

PRIVATE = 0o600
"""Mode of new files with what the user wrote: settings (system prompts), prompts and conversations."""
PUBLIC = 0o666
"""Mode of new files that are made to be shared; the umask takes its bits from it."""


def write_atomic(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Write the data to a temporary file in the same folder, then replace the file.

    A symlink is followed: the file that it points to is replaced. A file that exists keeps its mode and, as
    far as this user may set it, its owner.

    Args:
        path: the file; missing folders are created.
        data: the new content.
        mode: of a new file, before the umask.

    Raises:
        OSError: the folder cannot be written, or the disk is full. No temporary file is left.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    before = _status(path)
    if before and not stat.S_ISREG(before.st_mode):
        _write_special(path, before.st_mode, data)
        return
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")  # short: the name of the file may be 255 bytes
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if before:
                with contextlib.suppress(OSError):  # another user's file, in a folder that is shared
                    os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def append_durably(path: Path, data: bytes) -> None:
    """Append lines to a file and wait until they are on the disk. A torn last line is ended first.

    Raises:
        OSError: the data cannot be written; the file is as long as before.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "ab+", buffering=0) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 1))
        torn = stream.read(1) not in (b"", b"\n")
        rest = memoryview(b"\n" * torn + data)
        try:
            while rest:
                rest = rest[stream.write(rest) :]
            os.fsync(stream.fileno())
        except OSError:
            with contextlib.suppress(OSError):  # half a line would be skipped by the reader
                stream.truncate(size)
            raise


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _write_special(path: Path, mode: int, data: bytes) -> None:
    """Write to /dev/null and the like, which must never be replaced."""
    if not stat.S_ISCHR(mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    path.write_bytes(data)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
