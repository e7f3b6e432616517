"""Locks of files that several apps use: a short one for a change, a long one (a lease) while a file is open.

The lock files are in the state folder, not next to the files: a settings file may be in a folder of dotfiles
under version control. The state folder is in the home folder, so the locks also work for two machines that
share it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import BaseFileLock, FileLock, Timeout

from app.state.settings.paths import lock_folder

LOCK_SECONDS = 2.0
"""A change takes milliseconds. An app that holds a lock longer is stopped, or its disk hangs."""
POLL_SECONDS = 0.005


class FileInUseError(OSError):
    """Another app has the file open."""


@contextlib.contextmanager
def locked(path: Path, timeout: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of a file while it is read, changed and written. Not for the event loop.

    Excludes other threads as well as other apps. Where no lock can be made, such as in a read-only state
    folder, the change is made without one.

    Raises:
        TimeoutError: another thread or app held the lock for `timeout` seconds.
    """
    lock = FileLock(_lock_file(path, "lock"))
    try:
        held = _acquire(lock, timeout)
    except Timeout as error:
        raise TimeoutError(f"another app has locked {path} for more than {timeout:g} seconds") from error
    try:
        yield
    finally:
        if held:
            lock.release()


class Lease:
    """The lock of a file that this app has open. Ends with `release`, or when the process ends.

    Within one process the same file can be leased several times.
    """

    def __init__(self, path: Path) -> None:
        """Take the lease. Where no lock can be made, the lease excludes no other app.

        Raises:
            FileInUseError: another app has the file open.
        """
        # One lock object a process, for all threads: the thread that releases it may be another one.
        self._lock = FileLock(_lock_file(path, "lease"), thread_local=False, is_singleton=True)
        try:
            self._held = _acquire(self._lock, 0)
        except Timeout as error:
            raise FileInUseError("it is open in another window") from error

    def release(self) -> None:
        """Let other apps open the file; a second call changes nothing."""
        if self._held:
            self._held = False
            self._lock.release()

    def __enter__(self) -> Self:
        """Return the lease, which ends with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""
        self.release()


def remove_lease_file(path: Path) -> None:
    """Remove the lock file of a file that has been deleted."""
    with contextlib.suppress(OSError):
        _lock_file(path, "lease").unlink()


def _acquire(lock: BaseFileLock, timeout: float) -> bool:
    """Return whether the lock is held; False where no lock can be made.

    Raises:
        Timeout: another app holds it.
    """
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=timeout, poll_interval=POLL_SECONDS)
    except Timeout:
        raise
    except (OSError, NotImplementedError):  # a full or read-only disk, or a file system without locks
        return False
    return True


def _lock_file(path: Path, kind: str) -> Path:
    """Return the lock file of a path: one for every name of the same file."""
    real = os.path.realpath(path)
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
    return lock_folder() / f"{digest}.{kind}"
