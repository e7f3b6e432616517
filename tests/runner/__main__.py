"""`make test`: run pytest, and end it if it does not end by itself.

python -m tests.runner [ARGUMENT OF PYTEST ...]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

from tests.runner.processes import end, marked

# Three at a time, also on two cores: tests wait for screens and engines more than they compute. Files stay
# whole, with the engines that their tests share.
ARGUMENTS = [
    "--numprocesses",
    "3",
    "--dist",
    "loadfile",
    "--no-loadscope-reorder",
    "--max-worker-restart",
    "8",
]
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""The runners and their engines share the cores. With a thread for each core in each of them, every parallel
loop would wait for threads that do not run."""
SECONDS = 4800.0
"""The outer limit, for slow and busy machines too."""
SUMMARY_SECONDS = 60.0
"""How long pytest may take to say what has failed so far."""


def main(arguments: list[str], seconds: float = SECONDS) -> int:
    """Run pytest for `seconds` at most; returns its exit code."""
    run = uuid.uuid4().hex
    command = [sys.executable, "-m", "pytest", *ARGUMENTS, "--testrunuid", run, *arguments]
    process = subprocess.Popen(command, env=os.environ | THREADS)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        print(
            f"\nThe tests did not end within {seconds:g} s: they are ended now.", file=sys.stderr, flush=True
        )
        return _interrupt(process) or 1
    except KeyboardInterrupt:
        return _interrupt(process)
    finally:
        process.kill()
        end(marked(f"{run}/"), 0.0)


def _interrupt(process: subprocess.Popen[bytes]) -> int:
    """Let pytest print what it knows."""
    os.kill(process.pid, signal.SIGINT)
    try:
        return process.wait(SUMMARY_SECONDS)
    except subprocess.TimeoutExpired:
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
