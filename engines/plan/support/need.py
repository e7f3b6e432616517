"""What a backend needs to be installed, checked without importing it."""

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
    """A requirement of a backend."""

    modules: tuple[str, ...]
    """Names of Python modules."""
    remedy: str
    """How to install them."""
    needs_compiler: bool = False
    """Whether a C++ compiler is needed."""
    environment: str = ""
    """The backend whose managed environment has the libraries, if they conflict with the app's own."""
    needs_engine_class: bool = False
    """Whether that environment must have a release that builds TensorRT engines."""

    @property
    def missing(self) -> str:
        """What is missing, in one sentence; empty if everything is installed. Imports nothing."""
        if self.environment:
            return self._missing_of_environment
        absent = [name for name in self.modules if not _installed(name)]
        if absent:
            return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed."
        return (
            "It needs a C++ compiler, and none was found." if self.needs_compiler and not _compiler() else ""
        )

    @property
    def _missing_of_environment(self) -> str:
        found = interpreter(self.environment)
        if found is None:
            return "It needs a separate environment, which has not been created."
        if self.needs_engine_class and not found.builds_engines:
            return "It needs a TensorRT engine, which the installed release cannot build."
        return ""


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None


@cache
def _compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++", "cl") if name)
