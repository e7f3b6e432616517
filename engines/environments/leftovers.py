"""What interrupted creations left in an environment's folder: found and deleted, never what is in use."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from engines.build.folders import folder_bytes
from engines.environments.environment import RECORD, read_record
from engines.errors import EngineError

LOCK = "create.lock"
VENV_PREFIX = "venv-"


@contextlib.contextmanager
def creation_lock(folder: Path) -> Iterator[None]:
    """Hold the folder for one creation; an empty folder is deleted afterwards.

    Raises:
        EngineError: another process holds it.
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise EngineError(
            "environment-busy", f"Another `env create` of {folder.name} is running.", "Wait until it ends."
        ) from error
    except NotImplementedError as error:
        raise OSError(f"the file system of {folder} has no locks") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()
                folder.rmdir()
        lock.release()


def leftovers(folder: Path) -> list[Path]:
    """Return what can be deleted of an environment's folder: unfinished and replaced environments.

    Replaced ones, with a record of their own, are kept where the user chose an interpreter by `env use`.
    """
    record = read_record(folder)
    used = _child_of(folder, record.python) if record else None
    if used is not None and used.name.startswith(VENV_PREFIX):
        keep = {used.name, RECORD, LOCK}
        return sorted(path for path in folder.iterdir() if path.name not in keep)
    found = sorted(folder.glob(f"{VENV_PREFIX}*"))
    return [path for path in found if path != used and not (path / RECORD).is_file()]


def without_record(root: Path) -> list[Path]:
    """Return the folders that no backend uses: of another release, damaged, or of an interrupted creation."""
    folders = (folder for folder in sorted(root.glob("*")) if folder.is_dir())
    return [folder for folder in folders if read_record(folder) is None and not _is_locked(folder)]


def sweep(root: Path) -> int:
    """Delete what creations that died left below `root`, and return the bytes; skip running ones."""
    freed = 0
    for folder in sorted(root.glob("*/")):
        if folder.is_symlink() or not leftovers(folder):
            continue
        with contextlib.suppress(EngineError, OSError), creation_lock(folder):
            freed += delete_leftovers(folder)
    return freed


def delete_leftovers(folder: Path) -> int:
    """Delete the leftovers of one environment's folder, whose lock is held, and return their bytes."""
    found = leftovers(folder)
    freed = sum(folder_bytes(path) for path in found)
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return freed


def _is_locked(folder: Path) -> bool:
    lock = FileLock(folder / LOCK)
    try:
        if not (folder / LOCK).exists():
            return False
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    lock.release()
    return False


def _child_of(folder: Path, python: str) -> Path | None:
    """Return the direct child of `folder` that a path leads through; None if it leads elsewhere."""
    with contextlib.suppress(ValueError):
        parts = Path(python).relative_to(folder).parts
        return folder / parts[0] if parts else None
    return None
