"""Exceptions as events with words: a full disk and a full memory look different in every library."""

from __future__ import annotations

import errno
import traceback

from engines.errors import EngineError
from engines.worker.protocol import Error

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DISK_FULL_WORDS = ("no space left on device", "disk quota exceeded", "file too large")
"""As libraries in C++ and Rust quote the system."""
NO_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
DETAIL_CHARACTERS = 8000


def as_error(identity: int, error: BaseException) -> Error:
    """What happened, what to do next, and the traceback for whoever wants to look."""
    detail = "".join(traceback.format_exception(error))[-DETAIL_CHARACTERS:]
    if isinstance(error, EngineError):
        caused = error.__cause__
        if caused is None or not (is_disk_full(caused) or is_out_of_memory(caused)):
            return Error(identity, error.code, error.message, error.hint, detail if caused else "")
        error = caused
    if is_disk_full(error):
        return Error(identity, "disk-full", "The disk is full.", DISK_FULL_HINT, detail)
    if is_out_of_memory(error):
        hint = "Choose a smaller precision or context, or close the other side's engine."
        return Error(identity, "out-of-memory", "There is not enough memory.", hint, detail)
    words = str(error).strip().splitlines()
    message = f"{type(error).__name__}: {words[0] if words else 'no message'}"
    hint = "This should not happen: please report it with the log."
    return Error(identity, "internal", message[:500], hint, detail)


DISK_FULL_HINT = "Free some space, for example with `trt-playground engines prune`, then try again."


def is_disk_full(error: BaseException) -> bool:
    """Whether a write failed for want of space."""
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return True
    return _says(error, DISK_FULL_WORDS)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on the device or on the host."""
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return True
    return isinstance(error, (OSError, RuntimeError)) and _says(error, NO_MEMORY_WORDS)


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(word in text for word in words)
