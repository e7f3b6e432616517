"""The environments on this disk: a folder for each backend, with a record that names the interpreter in use.

    root/<backend>/environment.json     the record, replaced in one piece
    root/<backend>/venv-<random>/       a managed environment, with a record as its last file
    root/<backend>/create.lock          held while one is created

A new environment is built in a folder of its own, which is never renamed: virtual environments hold absolute
paths in their scripts. Replacing the record switches to it. Older releases kept the files of a managed
environment next to the record. A folder without a readable record is not used; `create` replaces it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec

from engines.environments.interpreters import Interpreter, register
from engines.environments.recipe import RECIPES

RECORD = "environment.json"


@dataclass(frozen=True)
class Environment:
    """An interpreter with a backend's libraries: created here, or the user's own."""

    name: str
    """The backend's."""
    python: str
    managed: bool
    """Whether `env create` made its files, so that they are deleted with it."""
    version: str = ""
    """Of the backend's library."""
    package: str = ""
    """The folder of the backend's library."""
    builds_engines: bool = False

    @property
    def problem(self) -> str:
        """Why it cannot be used; empty if it can."""
        if self.name not in RECIPES:
            return f"this release has no backend {self.name!r} with an environment"
        if not self.package:
            return f"{self.python} is not an interpreter that has {RECIPES[self.name].module}"
        if not Path(self.python).is_file():
            return f"its interpreter {self.python} is gone"
        return "" if Path(self.package).is_dir() else f"its package {self.package} is gone"


def environments(root: Path) -> list[Environment]:
    """Return all that have a readable record, by name."""
    found = (read_record(file.parent) for file in sorted(root.glob(f"*/{RECORD}")))
    return [environment for environment in found if environment]


def read_record(folder: Path) -> Environment | None:
    """Return the environment of a folder; None without a record, or with one that cannot be read."""
    try:
        found = msgspec.json.decode((folder / RECORD).read_bytes(), type=Environment)
    except (OSError, ValueError, RecursionError):
        return None
    return replace(found, name=folder.name)


def save(root: Path, environment: Environment) -> None:
    """Switch to an environment: replace the record in one piece."""
    write_record(root / environment.name, environment)


def write_record(folder: Path, environment: Environment) -> None:
    """Write the record of a folder in one piece."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{RECORD}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(asdict(environment))) + b"\n")
    temporary.replace(folder / RECORD)


def remove(root: Path, name: str) -> bool:
    """Delete an environment and what creations left; of the user's own only the record.

    Returns whether there was any.

    Raises:
        OSError: it cannot be deleted.
    """
    if name not in {folder.name for folder in root.glob("*") if folder.is_dir()}:
        return False
    folder = root / name
    if folder.is_symlink():
        folder.unlink()
        return True
    (folder / RECORD).unlink(missing_ok=True)  # first: after a failure the rest must not look complete
    shutil.rmtree(folder)
    return True


def register_all(found: Iterable[Environment]) -> None:
    """Let workers run with those of these that have no problem, and with no other."""
    known = {one.name: one for one in found if not one.problem}
    for name in RECIPES:
        one = known.get(name)
        register(name, Interpreter(one.python, one.builds_engines, one.version, one.package) if one else None)
