"""The release of a backend's library, where it has an environment of its own: newer ones support more."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from engines.environments.interpreters import interpreter
from engines.environments.recipe import RECIPES


def release_of(backend: str) -> str:
    """Return the release that `backend` runs with; empty for one that runs in the app's interpreter.

    That of its environment, or of this interpreter in a worker that runs in it; without an environment, the
    one that `env create` installs.
    """
    if backend not in RECIPES:
        return ""
    found, recipe = interpreter(backend), RECIPES[backend]
    return (found.version if found else _installed(recipe.module)) or recipe.release


def is_older(release: str, other: str) -> bool:
    """Return whether `release` comes before `other`; False where a number says nothing, as of own builds."""
    # Imported here: most workers compare no releases.
    from packaging.version import InvalidVersion, Version

    try:
        return Version(release) < Version(other)
    except InvalidVersion:
        return False


@cache
def _installed(module: str) -> str:
    try:
        return version(module)
    except PackageNotFoundError:
        return ""
