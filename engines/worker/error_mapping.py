"""Map exceptions to Error events: each library reports a full disk or lack of memory in its own way."""

from __future__ import annotations

import errno
import traceback

from engines.errors import EngineError
from engines.worker.protocol import Error

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DISK_FULL_PHRASES = ("no space left on device", "disk quota exceeded", "file too large")
"""Messages of the system as C++ and Rust libraries quote them."""
OUT_OF_MEMORY_PHRASES = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
)
DETAIL_CHARACTERS = 8000


def to_error_event(command_id: int, error: BaseException) -> Error:
    """Return the Error event for an exception: what happened, what to do next, and the traceback."""
    detail = "".join(traceback.format_exception(error))[-DETAIL_CHARACTERS:]
    shortage = next(filter(None, map(_shortage, causes(error))), None)
    if shortage is not None:
        return Error(command_id, shortage.code, shortage.message, shortage.hint, detail)
    if isinstance(error, EngineError):
        cause = error.__cause__ is not None
        return Error(
            command_id, error.code, error.message, error.hint, error.detail or (detail if cause else "")
        )
    if isinstance(error, UnicodeError):
        hint = "Rename the file or folder, or save the file as UTF-8."
        return Error(command_id, "not-utf-8", f"A name or a text is not valid UTF-8: {error}", hint, detail)
    lines = str(error).strip().splitlines()
    message = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
    hint = "This is an unexpected error: please report it with the log."
    return Error(command_id, "internal", message[:500], hint, detail)


def causes(error: BaseException) -> list[BaseException]:
    """Return the error, then its cause (or the error during whose handling it was raised), and so on."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        context = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ or context
    return found


def _shortage(error: BaseException) -> EngineError | None:
    """Return the error for a lack of disk space or memory; None for another one."""
    if isinstance(error, EngineError):
        return None
    if is_disk_full(error):
        return disk_full()
    return out_of_memory() if is_out_of_memory(error) else None


DISK_FULL_HINT = "Free some space, for example with `trt-playground engines prune`, then try again."


def disk_full() -> EngineError:
    """Return the error for a full disk."""
    return EngineError("disk-full", "The disk is full.", DISK_FULL_HINT)


def out_of_memory() -> EngineError:
    """Return the error for a device or a host without enough memory."""
    hint = "Choose a smaller precision or context, or close the other side's engine."
    return EngineError("out-of-memory", "There is not enough memory.", hint)


def is_disk_full(error: BaseException) -> bool:
    """Return whether a write failed because the disk or the quota is full."""
    if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
        return True
    return _mentions(error, DISK_FULL_PHRASES)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an allocation failed, on the device or on the host."""
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return True
    return isinstance(error, (OSError, RuntimeError)) and _mentions(error, OUT_OF_MEMORY_PHRASES)


def _mentions(error: BaseException, phrases: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(phrase in text for phrase in phrases)
