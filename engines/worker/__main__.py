"""The worker's process: `python -m engines.worker --backend NAME`.

Commands come on stdin, events go to what stdout was at the start, and whatever else is printed goes
where stderr goes: the log, which the app opens. Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import os
import signal
import sys
from typing import BinaryIO

from engines.worker.service import Service


def main() -> None:
    """Serve one app until it says shutdown or its end of stdin closes."""
    parser = argparse.ArgumentParser(prog="python -m engines.worker")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--parent", type=int, default=0, help="process id of the app; 0 to outlive it")
    arguments = parser.parse_args()
    if arguments.parent:
        die_with_parent(arguments.parent)
    commands, events = take_over_streams()
    # Ctrl+C in the terminal is the app's business; the worker ends with its stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    Service(arguments.backend, commands, events).run()
    # Native libraries keep threads that can hang the interpreter's own exit.
    sys.stdout.flush()
    os._exit(0)


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent dies; elsewhere the end of stdin does it, more slowly.

    The kernel's "parent" is the thread that started us: the app starts workers from its main thread.
    """
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call above
        sys.exit(f"the app (process {parent}) is not the parent of this worker")


def take_over_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two protocol pipes to ourselves: native libraries and child processes print to the log."""
    commands, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return commands, events


if __name__ == "__main__":
    main()
