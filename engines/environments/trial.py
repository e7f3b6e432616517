"""Import a backend's library in a separate process with a time limit: an import may hang, print or crash."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from engines.backends.tensorrt_llm.failures import known_failure
from engines.environments.activity import Activity
from engines.environments.environment import Environment

IDLE_SECONDS = 120.0
"""How long an import may neither compute nor read; on a slow machine it may take minutes."""
SECONDS = 1200.0
"""How long it may take where it computes all the time."""
LOOK_SECONDS = 0.5
TAIL_CHARACTERS = 1500
HANGS = "MPI usually hangs like this: conda's mpich does not go with it; sudo apt-get install libopenmpi-dev."
_LOCATE = """\
import json, sys
from importlib.util import find_spec
from pathlib import Path
spec = find_spec(sys.argv[1])
folder = next(iter(spec.submodule_search_locations), "") if spec else ""
found = {"package": str(folder), "version": ""}
try:
    from importlib.metadata import version
    found["version"] = version(sys.argv[1])
except Exception:
    pass
found["builds_engines"] = bool(folder) and (Path(folder) / "_tensorrt_engine" / "__init__.py").is_file()
print(json.dumps(found))
"""
_FOREIGN = ("PYTHONHOME", "PYTHONPATH")


@dataclass(frozen=True)
class Trial:
    """Result of an import."""

    good: bool
    words: str
    detail: str = ""
    """The end of its output."""


def locate(name: str, python: str, module: str, *, managed: bool) -> Environment | None:
    """Return the environment of an interpreter, without an import; None if it lacks the library."""
    try:
        command = [python, "-c", _LOCATE, module]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=_variables(), cwd="/", check=True
        )
        found = json.loads(ended.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
    if not found["package"]:
        return None
    return Environment(name, python, managed, found["version"], found["package"], found["builds_engines"])


def try_import(python: str, module: str, idle_seconds: float = IDLE_SECONDS) -> Trial:
    """Import it, and kill the session of the process if it hangs."""
    try:
        process = subprocess.Popen(
            [python, "-c", f"import {module}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_variables(),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Trial(False, f"{python} cannot be started: {error}.")
    output = _output(process, idle_seconds)
    if output is None:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        words = f"The import hangs: it has done nothing for {idle_seconds:g} s. {HANGS}"
        return Trial(False, words, _tail(output))
    if process.returncode:
        last = next((line for line in reversed(_tail(output).splitlines()) if line.strip()), "")
        known = known_failure(last)
        words = f"The import failed: {last or f'exit status {process.returncode}'}."
        return Trial(False, f"{words} {known.hint if known else ''}".strip(), _tail(output))
    return Trial(True, "It can be imported.", _tail(output))


def _output(process: subprocess.Popen[bytes], idle_seconds: float) -> bytes | None:
    """Return what the process has printed when it has ended; None if it hangs."""
    activity, limit = Activity(process.pid), time.monotonic() + SECONDS
    while time.monotonic() < limit and activity.idle_seconds() < idle_seconds:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=LOOK_SECONDS)[0]
    return None


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN}


def _tail(output: bytes) -> str:
    return output.decode(errors="replace").strip()[-TAIL_CHARACTERS:]
