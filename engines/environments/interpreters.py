"""Which interpreter runs a backend that cannot live in ours.

Filled once, before the app's first screen, from the folder of environments. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interpreter:
    """An interpreter with a backend's libraries."""

    python: str
    builds_engines: bool = False
    """Whether the installed release has the class that builds TensorRT engines."""


_KNOWN: dict[str, Interpreter] = {}


def register(backend: str, found: Interpreter | None) -> None:
    """From now on workers of `backend` run with it; None forgets it."""
    if found is None:
        _KNOWN.pop(backend, None)
    else:
        _KNOWN[backend] = found


def interpreter(backend: str) -> Interpreter | None:
    """The interpreter of a backend; None where there is no environment for it."""
    return _KNOWN.get(backend)
