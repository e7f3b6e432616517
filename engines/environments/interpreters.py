"""Interpreters of backends that need their own environment, by backend.

Filled before the app's first screen, from the folder of environments and the settings. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interpreter:
    """An interpreter with a backend's libraries."""

    python: str
    builds_engines: bool = False
    """Whether the installed release has the class that builds TensorRT engines."""
    version: str = ""
    """Of the backend's library; empty if it is not known."""
    package: str = ""
    """The folder of the backend's library; empty if it is not known."""


_KNOWN: dict[str, Interpreter] = {}


def register(backend: str, found: Interpreter | None) -> None:
    """Start workers of `backend` with it from now on; None removes the entry."""
    if found is None:
        _KNOWN.pop(backend, None)
    else:
        _KNOWN[backend] = found


def interpreter(backend: str) -> Interpreter | None:
    """Return the interpreter of a backend; None without an environment for it."""
    return _KNOWN.get(backend)
