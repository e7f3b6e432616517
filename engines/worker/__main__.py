"""The worker process: `python -m engines.worker --backend NAME`.

Commands are read from stdin and events are written to the original stdout. All other output goes to stderr,
which the app redirects to the log. Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
from typing import BinaryIO

from engines.backends.registry import BACKENDS
from engines.worker.parent_death import die_with_parent
from engines.worker.remote_service import RemoteService
from engines.worker.service import Service


def main() -> None:
    """Serve one app until it sends `shutdown` or closes stdin."""
    parser = argparse.ArgumentParser(prog="python -m engines.worker")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--parent", type=int, default=0, help="process id of the app; 0 to outlive it")
    arguments = parser.parse_args()
    if arguments.parent:
        die_with_parent(arguments.parent)
    commands, events = redirect_streams()
    # The app handles Ctrl+C; the worker exits when its stdin closes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    entry = BACKENDS.get(arguments.backend)
    service = RemoteService if entry is not None and entry.remote else Service
    service(arguments.backend, commands, events).run()
    # Threads of native libraries can make a normal interpreter exit hang.
    sys.stdout.flush()
    os._exit(0)


def redirect_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return private copies of the two protocol pipes; fd 1 then points to the log, fd 0 to /dev/null.

    Native libraries and child processes print to fd 1 and would corrupt the protocol.
    """
    commands, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    os.dup2(2, 1)
    return commands, events


if __name__ == "__main__":
    main()
