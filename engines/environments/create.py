"""Create an environment by the documented steps, next to the one in use, then switch to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from engines.environments.environment import Environment, save, write_record
from engines.environments.leftovers import VENV_PREFIX, creation_lock, delete_leftovers
from engines.environments.recipe import EnvironmentRecipe, steps
from engines.environments.trial import locate, try_import, try_sampling
from engines.errors import EngineError

UNREACHABLE = (
    "Failed to establish a new connection",
    "Name or service not known",
    "Temporary failure in name resolution",
    "ConnectTimeoutError",
    "ProxyError",
)
"""What pip prints at each attempt before it gives up."""
NO_INDEX = (
    "The package index was not reached: check the network, HTTPS_PROXY and PIP_INDEX_URL, then try again. "
    "Without it, `env use` takes an environment made elsewhere."
)
Report = Callable[[str, str], None]
"""Called with the name of the step and a line of its output; an empty line starts the step."""
Steps = Callable[[EnvironmentRecipe, str, Path], list[tuple[str, list[str]]]]


def create(
    name: str,
    recipe: EnvironmentRecipe,
    python: str,
    root: Path,
    log: Path,
    report: Report,
    make_steps: Steps = steps,
) -> Environment:
    """Create the environment `name` below `root`, and switch to it once its library can be imported.

    Whether it samples is reported, and changes nothing: what that may lack is not part of the environment.

    The environment that was in use stays so until then, and is deleted afterwards. If the process is killed,
    the next creation or `sweep` deletes what it left.

    Raises:
        EngineError: a step failed, and the log has its output; or another creation is running.
        OSError: the folder cannot be written.
    """
    folder = root / name
    with creation_lock(folder):
        delete_leftovers(folder)
        venv = Path(tempfile.mkdtemp(prefix=VENV_PREFIX, dir=folder))
        try:
            made = _build(name, recipe, python, venv, log, report, make_steps)
            save(root, made)
            with contextlib.suppress(OSError):
                write_record(venv, made)
            return made
        finally:
            delete_leftovers(folder)  # the new one, or the one that it replaced


def _build(
    name: str,
    recipe: EnvironmentRecipe,
    python: str,
    venv: Path,
    log: Path,
    report: Report,
    make_steps: Steps,
) -> Environment:
    venv.chmod(0o755)  # mkdtemp keeps others out
    (venv / "constraints.txt").write_text("\n".join(recipe.constraints) + "\n", "utf-8")
    for title, command in make_steps(recipe, python, venv):
        report(title, "")
        _run(title, command, log, report)
    report("test", "")
    made = locate(name, str(venv / "bin" / "python"), recipe.module, managed=True)
    tried = try_import(str(venv / "bin" / "python"), recipe.module)
    if made is None or not tried.good:
        message = tried.words if made else f"{recipe.module} is not in it."
        raise EngineError("environment-failed", message, f"The full output is in {log}.")
    report("sample", "")
    report("sample", try_sampling(made.python, recipe).words)
    return made


def _run(title: str, command: list[str], log: Path, report: Report) -> None:
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
                report(title, last)
        status = process.wait()
    if status:
        hint = _hint(last) or (NO_INDEX if unreachable else "")
        message = f"The step {title!r} failed: {last[:300]}"
        raise EngineError("environment-failed", message, f"{hint} The full output is in {log}.".strip())


@contextlib.contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a process in a new session, and end the session with the block: pip starts other processes."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=variables,
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
        return "The wheel is on pypi.nvidia.com, which was not reached."
    return ""
