"""The installed library, and its messages: it reports errors only to its logger."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

RTX, FULL = "tensorrt_rtx", "tensorrt"
OLDEST = {RTX: (1, 7), FULL: (11, 0)}
"""The first releases with the operators of our graph."""
KEPT_MESSAGES = 200


def installed() -> tuple[str, str] | None:
    """Return the module and version of the library that is used, without importing it; None without one.

    TensorRT for RTX comes first: its wheel installs from the ordinary registry, and builds without a GPU.
    """
    for module in (RTX, FULL):
        with suppress(metadata.PackageNotFoundError):
            version = metadata.version(module)
            if find_spec(module) and _numbers(version) >= OLDEST[module]:
                return module, version
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


@cache
def library() -> Any:
    """Import the library.

    Raises:
        ImportError: it is not installed, or its shared libraries cannot be loaded.
    """
    found = installed()
    if found is None:
        raise ImportError("neither tensorrt_rtx nor tensorrt 11 is installed")
    return import_module(found[0])


class Messages:
    """What the library reported, the newest KEPT_MESSAGES."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str]] = deque(maxlen=KEPT_MESSAGES)

    def add(self, severity: str, text: str) -> None:
        """Add a message."""
        self._lines.append((severity, text))
        print(f"TensorRT {severity.lower()}: {text}")  # into the worker's log

    def clear(self) -> None:
        """Forget all of them, before a call whose messages are to be read."""
        self._lines.clear()

    @property
    def errors(self) -> list[str]:
        """Errors since `clear`, the first one first."""
        return [text for severity, text in self._lines if severity in ("ERROR", "INTERNAL_ERROR")]

    @property
    def lines(self) -> list[str]:
        """All messages since `clear`."""
        return [text for _, text in self._lines]


@cache
def logger() -> tuple[Any, Messages]:
    """Return the library's logger, of which a process has one, and the messages that it receives."""
    trt, messages = library(), Messages()

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.Severity.WARNING:
                messages.add(severity.name, text)

    return Logger(), messages
