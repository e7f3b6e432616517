"""The environments of backends: those on this disk, and those that the settings name, which come first."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from app.state.settings.paths import environment_folder, settings_file
from app.state.settings.settings import SettingsError, load_settings
from engines.environments.environment import Environment, environments, register_all
from engines.environments.recipe import RECIPES
from engines.environments.trial import locate


def named_in_settings() -> dict[str, str]:
    """Return the interpreters in the settings file; none where the file is invalid, which the app reports."""
    with contextlib.suppress(SettingsError):
        return load_settings(settings_file()).interpreters
    return {}


def known_environments(named: Mapping[str, str]) -> list[Environment]:
    """Return every environment, sorted by name. One that cannot be used has a `problem`.

    Starts every interpreter that is named, which takes seconds on a slow disk. Not for the event loop.

    Args:
        named: backend to interpreter, as in the settings.
    """
    found = {one.name: one for one in environments(environment_folder())}
    found |= {name: named_environment(name, python) for name, python in named.items() if name in RECIPES}
    return [found[name] for name in sorted(found)]


def register_known(named: Mapping[str, str]) -> list[str]:
    """Make every environment available to workers, and return the problems of those that are named.

    As slow as `known_environments`.
    """
    found = known_environments(named)
    register_all(found)
    return [one.problem for one in found if one.problem and one.name in named]


def named_environment(name: str, python: str) -> Environment:
    """Return the environment of an interpreter; its package is empty where the library is not installed.

    Args:
        python: a path, or a command on PATH such as `python3`.
    """
    # Not resolved: the interpreter of a virtual environment is a symlink, and identified by its path.
    path = str(Path(_on_path(python)).expanduser().absolute())
    found = locate(name, path, RECIPES[name].module, managed=False)
    return found or Environment(name, path, managed=False)


def _on_path(python: str) -> str:
    """Return the path of a command such as `python3`; a path unchanged."""
    is_command = python == Path(python).name and not Path(python).exists()
    return (shutil.which(python) if is_command else None) or python
