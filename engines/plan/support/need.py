"""What a backend needs installed, looked for without importing it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from engines.environments.interpreters import interpreter

TORCH = ("torch", "transformers")


@dataclass(frozen=True)
class Need:
    """What must be installed."""

    modules: tuple[str, ...]
    """Names of imports."""
    remedy: str
    """How to get them."""
    compiles: bool = False
    """Whether it wants a C++ compiler."""
    environment: str = ""
    """The backend whose environment has the libraries, where they collide with ours."""
    engine_class: bool = False
    """Whether that environment must hold a release that builds TensorRT engines."""

    @property
    def missing(self) -> str:
        """What is not there, in one sentence; empty where all is. Imports nothing."""
        if self.environment:
            return self._missing_of_environment
        absent = [name for name in self.modules if not _installed(name)]
        if absent:
            return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed."
        return (
            "It compiles with a C++ compiler, and none is found." if self.compiles and not _compiler() else ""
        )

    @property
    def _missing_of_environment(self) -> str:
        found = interpreter(self.environment)
        if found is None:
            return "It lives in an environment of its own, and there is none."
        if self.engine_class and not found.builds_engines:
            return "It needs a TensorRT engine, and the installed release builds none."
        return ""


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None


@cache
def _compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++", "cl") if name)
