"""The engine that a worker has built and checked, until the app lets the worker load it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from dataclasses import dataclass
from pathlib import Path

from engines.backends.base import Backend
from engines.build.spec import EngineSpec
from engines.worker.tokenizer import Tokenizer
from engines.worker.tokenizer_process import TokenizerProcess


@dataclass(frozen=True)
class BuiltEngine:
    """A backend that still has the engine loaded that it wrote, and the engine's tokenizer."""

    spec: EngineSpec
    folder: tuple[int, int]
    """Device and inode of the engine's folder, which the store renames."""
    backend: Backend
    tokenizer: Tokenizer | TokenizerProcess

    def is_engine(self, spec: EngineSpec, directory: Path) -> bool:
        """Return whether it was built from `spec`, and `directory` is its folder, perhaps by a new name."""
        try:
            return (spec, identity(directory)) == (self.spec, self.folder)
        except OSError:
            return False

    def close(self) -> None:
        """Release the engine and its tokenizer."""
        self.backend.close()
        self.tokenizer.close()


def identity(directory: Path) -> tuple[int, int]:
    """Return device and inode of a folder, which stay the same when it is renamed.

    Raises:
        OSError: there is no such folder.
    """
    found = directory.stat()
    return found.st_dev, found.st_ino


def return_freed_memory() -> None:
    """Give the system back what the build has freed; the C library of Linux keeps it for itself otherwise."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
