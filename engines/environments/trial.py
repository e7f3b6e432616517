"""Try a backend's library in a separate process with a time limit: it may hang, print or crash."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from engines.backends.tensorrt_llm.failures import known_failure
from engines.demo import CHECKPOINT
from engines.environments.activity import Activity
from engines.environments.environment import Environment
from engines.environments.recipe import RELEASES, EnvironmentRecipe
from engines.plan.hardware.hardware import gpus
from engines.worker.process_tree import ProcessTree

IDLE_SECONDS = 120.0
"""How long it may neither compute nor read; on a slow machine an import may take minutes."""
SECONDS = 1200.0
"""How long it may take where it computes all the time."""
LOOK_SECONDS = 0.5
TAIL_CHARACTERS = 1500
SCRIPT = Path(__file__).parent / "scripts" / "sample_token.py"
PREFIX = "TRIAL "
"""Starts the line with the result of SCRIPT."""
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
    """Result of an attempt."""

    good: bool
    words: str
    detail: str = ""
    """The end of its output."""
    skipped: bool = False
    """Whether nothing was run; the words say why."""


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
    run = _run([python, "-c", f"import {module}"], idle_seconds)
    if isinstance(run, Trial):
        return run
    if run.hung:
        words = f"The import hangs: it has done nothing for {idle_seconds:g} s. {HANGS}"
        return Trial(False, words, run.tail)
    if run.status:
        return _failed("The import failed", run.last_line or f"exit status {run.status}", run.tail)
    return Trial(True, "It can be imported.", run.tail)


def try_sampling(
    python: str, recipe: EnvironmentRecipe, checkpoint: Path = CHECKPOINT, idle_seconds: float = IDLE_SECONDS
) -> Trial:
    """Sample one token of a small checkpoint: the sampler's kernels are compiled only then.

    It loads the library, starts its processes and captures a graph, which takes minutes; it is killed with
    its session if it hangs. Without an NVIDIA GPU nothing is run: it is `skipped`.
    """
    if not gpus():
        return Trial(True, "Sampling was not tried: no NVIDIA GPU is found.", skipped=True)
    run = _run([python, str(SCRIPT), str(checkpoint)], idle_seconds)
    if isinstance(run, Trial):
        return run
    result = run.result
    if "token" in result:  # what happens after it, such as a shutdown that hangs, is not the sampler's
        return Trial(True, "It samples: one token of the demo checkpoint was drawn.", run.tail)
    if run.hung:
        words = f"Sampling a token hangs: it has done nothing for {idle_seconds:g} s."
        return Trial(False, words, run.tail)
    error = str(result.get("failed") or run.last_line or f"exit status {run.status}")
    failed = _failed("It can be imported, but sampling a token failed", error, run.tail)
    if "nvcc" not in error.lower() and "cuda_home" not in error.lower():
        return failed
    hint = f"Install {recipe.cuda_packages[0]} and set CUDA_HOME: FlashInfer compiles kernels with nvcc."
    return replace(failed, words=f"{failed.words} {hint}")


@dataclass(frozen=True)
class _Run:
    """A process that has ended, or was killed because it hung."""

    hung: bool
    status: int
    output: str

    @property
    def tail(self) -> str:
        return self.output.strip()[-TAIL_CHARACTERS:]

    @property
    def last_line(self) -> str:
        return next((line for line in reversed(self.tail.splitlines()) if line.strip()), "")

    @property
    def result(self) -> dict[str, object]:
        """What the script printed as its result; empty without one."""
        lines = [line for line in self.output.splitlines() if line.startswith(PREFIX)]
        with contextlib.suppress(ValueError, IndexError):
            found = json.loads(lines[-1].removeprefix(PREFIX))
            return found if isinstance(found, dict) else {}
        return {}


def _run(command: list[str], idle_seconds: float) -> _Run | Trial:
    """Run a command to its end, or until it hangs; a failed Trial if it cannot be started."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_variables(),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Trial(False, f"{command[0]} cannot be started: {error}.")
    tree = ProcessTree(process.pid)
    output = _output(process, idle_seconds)
    hung = output is None
    tree.signal(signal.SIGKILL)  # also what outlives it: processes of MPI hold memory of the GPU
    if output is None:
        output, _ = process.communicate()
    return _Run(hung, process.returncode, output.decode(errors="replace"))


def _failed(doing: str, error: str, tail: str) -> Trial:
    known = known_failure(error)
    words = f"{doing}: {error.removesuffix('.')}."
    return Trial(False, f"{words} {known.hint if known else ''}".strip(), tail)


def _output(process: subprocess.Popen[bytes], idle_seconds: float) -> bytes | None:
    """Return what the process has printed when it has ended; None if it hangs."""
    activity, limit = Activity(process.pid), time.monotonic() + SECONDS
    while time.monotonic() < limit and activity.idle_seconds() < idle_seconds:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=LOOK_SECONDS)[0]
    return None


def _variables() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    quiet = (one.no_telemetry for recipes in RELEASES.values() for one in recipes if one.no_telemetry)
    return kept | dict.fromkeys(quiet, "1")  # newer releases send statistics once they are imported
