"""The worker's process: `python -m engines.worker --backend NAME --log FILE`.

Commands come on stdin, events go to what stdout was at the start. Standard library only, Python 3.10
and newer.
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
    parser.add_argument("--log", default=os.devnull, help="where everything that libraries print goes")
    parser.add_argument("--parent", type=int, default=0, help="process id of the app; 0 to outlive it")
    arguments = parser.parse_args()
    if arguments.parent:
        die_with_parent(arguments.parent)
    commands, events = take_over_streams(arguments.log)
    # Ctrl+C in the terminal is the app's business; the worker ends with its stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    Service(arguments.backend, commands, events).run()
    # Native libraries keep threads that can hang the interpreter's own exit.
    sys.stdout.flush()
    os._exit(0)


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent dies; elsewhere the end of stdin does it, more slowly."""
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call above
        os._exit(1)


def take_over_streams(log: str) -> tuple[BinaryIO, BinaryIO]:
    """Keep the two protocol pipes to ourselves and send whatever native libraries print to the log."""
    commands, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    return commands, events


if __name__ == "__main__":
    main()
