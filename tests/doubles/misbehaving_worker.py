#!/usr/bin/env python3
"""A worker that misbehaves on purpose, started as if it were a Python interpreter.

The environment variable MISBEHAVIOUR names how. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

PROTOCOL = 2
"""That of engines.worker.protocol, which a worker on its own cannot import."""


def say(**fields: object) -> None:
    """One well-formed line."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def greet(protocol: int = PROTOCOL) -> None:
    """What an honest worker says first."""
    say(type="hello", protocol=protocol, pid=os.getpid(), python="3", backend="double")


def no_json() -> None:
    greet()
    print("Loading weights: 100%", flush=True)


def wrong_types() -> None:
    greet()
    say(type="done", id=1, reason=5, text=[])


def long_line() -> None:
    greet()
    while True:
        sys.stdout.write("x" * 65_536)


def other_protocol() -> None:
    greet(protocol=99)


def no_hello() -> None:
    say(type="heartbeat")


def flood() -> None:
    greet()
    while True:
        sys.stdout.write('{"type":"heartbeat"}\n' * 1000)


def closed_output() -> None:
    greet()
    os.close(1)


def silent() -> None:
    greet()


def deaf() -> None:
    """Beats, but neither reads nor heeds SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    greet()
    while True:
        say(type="heartbeat")
        time.sleep(0.2)


def forked_child() -> None:
    """Dies and leaves a child behind that holds its output open."""
    greet()
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def helpers() -> None:
    """Has a process of its own, whose parent is gone."""
    greet()
    subprocess.run(["sh", "-c", "sleep 60 & exit"], check=True)
    deaf()


def half_a_line() -> None:
    greet()
    sys.stdout.write('{"type":"done","id":1,"rea')
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def unknown_event() -> None:
    """Is newer than the app: another event, another field."""
    greet()
    command = json.loads(sys.stdin.readline())
    say(type="rumour", id=command["id"])
    say(type="described", id=command["id"], available=True, colour="green")


if __name__ == "__main__":
    globals()[os.environ["MISBEHAVIOUR"]]()
    time.sleep(60)
