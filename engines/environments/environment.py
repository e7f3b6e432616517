"""The environments on this disk: a folder each, with `environment.json` as its last file.

A folder without that file is a creation that did not end: it counts as nothing and is cleared away.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.environments.interpreters import Interpreter, register
from engines.environments.recipe import RECIPES

RECORD = "environment.json"


@dataclass(frozen=True)
class Environment:
    """An interpreter with a backend's libraries, ours or the user's own."""

    name: str
    """The backend's."""
    python: str
    managed: bool
    """Whether its files are ours, to be removed with it."""
    version: str = ""
    """Of the backend's library."""
    package: str = ""
    """The folder of the backend's library."""
    builds_engines: bool = False

    @property
    def problem(self) -> str:
        """What is wrong with its files; empty where they are there."""
        if not self.package:
            return f"{self.python} is no interpreter that has {RECIPES[self.name].module}"
        if not Path(self.python).is_file():
            return f"its interpreter {self.python} is gone"
        return "" if Path(self.package).is_dir() else f"its package {self.package} is gone"


def environments(root: Path) -> list[Environment]:
    """All that are whole, by name."""
    found = []
    for file in sorted(root.glob(f"*/{RECORD}")):
        try:
            found.append(Environment(**json.loads(file.read_text("utf-8"))))
        except (OSError, ValueError, TypeError):
            continue  # of another version, or half written: `create` makes it anew
    return found


def save(root: Path, environment: Environment) -> None:
    """Write the record, in one piece."""
    folder = root / environment.name
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{RECORD}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(environment), indent=2) + "\n", "utf-8")
    temporary.replace(folder / RECORD)


def remove(root: Path, name: str) -> bool:
    """Delete the environment, or what a creation left; of the user's own only our record. Says if any was."""
    folder = root / name
    if not folder.is_dir():
        return False
    (folder / RECORD).unlink(missing_ok=True)  # first: what is left after a failure must not look whole
    shutil.rmtree(folder)
    return True


def register_all(found: Iterable[Environment]) -> None:
    """Let workers run with what is whole of these, and with nothing else."""
    known = {one.name: one for one in found if not one.problem}
    for name in RECIPES:
        one = known.get(name)
        register(name, Interpreter(one.python, one.builds_engines) if one else None)
