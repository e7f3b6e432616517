"""Which environments there are: those on this disk, and before them what the settings name."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from app.state.settings.paths import environment_folder, settings_file
from app.state.settings.settings import SettingsError, load_settings
from engines.environments.environment import Environment, environments, register_all
from engines.environments.recipe import RECIPES
from engines.environments.trial import locate


def named_in_settings() -> dict[str, str]:
    """What the settings file names; nothing where it cannot be used: the app does not start with it."""
    with contextlib.suppress(SettingsError):
        return load_settings(settings_file()).interpreters
    return {}


def known_environments(named: Mapping[str, str]) -> list[Environment]:
    """All of them, by name; what cannot be used says so as its `problem`.

    Starts every interpreter that is named: seconds, where it lies on a slow disk. Not for an event loop.

    Args:
        named: backend to interpreter, as in the settings.
    """
    found = {one.name: one for one in environments(environment_folder())}
    found |= {name: named_environment(name, python) for name, python in named.items() if name in RECIPES}
    return [found[name] for name in sorted(found)]


def register_known(named: Mapping[str, str]) -> list[str]:
    """Let workers run with all that is known; returns what is wrong with those that are named, in words.

    As slow as `known_environments`.
    """
    found = known_environments(named)
    register_all(found)
    return [one.problem for one in found if one.problem and one.name in named]


def named_environment(name: str, python: str) -> Environment:
    """The environment of an interpreter that the user names; without a package where it has none."""
    # Not resolved: the interpreter of a virtual environment is a link, and known by its place.
    path = str(Path(python).expanduser().absolute())
    found = locate(name, path, RECIPES[name].module, managed=False)
    return found or Environment(name, path, managed=False)
