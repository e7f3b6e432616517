"""Make an environment by the documented steps. What fails or is cancelled leaves nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.environments.environment import RECORD, Environment, remove, save
from engines.environments.recipe import EnvironmentRecipe, steps
from engines.environments.trial import locate, try_import
from engines.errors import EngineError

UNREACHABLE = (
    "Failed to establish a new connection",
    "Name or service not known",
    "Temporary failure in name resolution",
    "ConnectTimeoutError",
    "ProxyError",
)
"""What pip prints before it gives up, each time it tries."""
NO_INDEX = (
    "The package index was not reached: check the network, HTTPS_PROXY and PIP_INDEX_URL, then try again. "
    "Without it, `env use` takes an environment made elsewhere."
)
Say = Callable[[str, str], None]
"""Told of the name of the step and a line of its output; an empty line begins the step."""


def create(name: str, recipe: EnvironmentRecipe, python: str, root: Path, log: Path, say: Say) -> Environment:
    """Create the environment `name` below `root`; returns when it can be imported.

    Raises:
        EngineError: a step failed; the log has all that it printed.
    """
    folder = root / name
    remove(root, name)  # what an earlier creation left, or a whole one that is to be made anew
    folder.mkdir(parents=True)
    try:
        (folder / "constraints.txt").write_text("\n".join(recipe.constraints) + "\n", "utf-8")
        for title, command in steps(recipe, python, folder):
            say(title, "")
            _run(title, command, log, say)
        say("test", "")
        made = locate(name, str(folder / "bin" / "python"), recipe.module, managed=True)
        tried = try_import(str(folder / "bin" / "python"), recipe.module)
        if made is None or not tried.good:
            words = tried.words if made else f"{recipe.module} is not in it."
            raise EngineError("environment-failed", words, f"All of it is in {log}.")
        save(root, made)
        return made
    finally:
        if not (folder / RECORD).is_file():
            shutil.rmtree(folder, ignore_errors=True)


def _run(title: str, command: list[str], log: Path, say: Say) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    last, unreachable = "", False
    with log.open("a", encoding="utf-8") as sink, _started(command) as process:
        sink.write(f"--- {title}: {' '.join(command)}\n")
        assert process.stdout is not None
        for line in process.stdout:
            sink.write(line)
            if line.strip():
                last = line.strip()
                unreachable |= any(words in last for words in UNREACHABLE)
                say(title, last)
        status = process.wait()
    if status:
        hint = _hint(last) or (NO_INDEX if unreachable else "")
        words = f"The step {title!r} failed: {last[:300]}"
        raise EngineError("environment-failed", words, f"{hint} All of it is in {log}.".strip())


@contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process in a session of its own, which ends with the block: pip starts others."""
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=surroundings,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _hint(last: str) -> str:
    if "wheel_stub" in last or "placeholder package" in last:
        return "The wheel lies on pypi.nvidia.com, which was not reached."
    return ""
