#!/usr/bin/env python3
"""A worker that misbehaves on purpose, started in place of a Python interpreter.

The environment variable MISBEHAVIOUR names the function to run. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

PROTOCOL = 2
"""The version in engines.worker.protocol, which this script cannot import."""


def send(**fields: object) -> None:
    """Write one valid JSON line."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def greet(protocol: int = PROTOCOL) -> None:
    """Send Hello as a correct worker does."""
    send(type="hello", protocol=protocol, pid=os.getpid(), python="3", backend="double")


def no_json() -> None:
    greet()
    print("Loading weights: 100%", flush=True)


def wrong_types() -> None:
    greet()
    send(type="done", id=1, reason=5, text=[])


def long_line() -> None:
    greet()
    while True:
        sys.stdout.write("x" * 65_536)


def other_protocol() -> None:
    greet(protocol=99)


def no_hello() -> None:
    send(type="heartbeat")


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
    """Send heartbeats, but neither read commands nor react to SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    greet()
    while True:
        send(type="heartbeat")
        time.sleep(0.2)


def forked_child() -> None:
    """Die and leave a child process that keeps the output open."""
    greet()
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def helpers() -> None:
    """Start a process whose parent has exited."""
    greet()
    subprocess.run(["sh", "-c", "sleep 60 & exit"], check=True)
    deaf()


def half_a_line() -> None:
    greet()
    sys.stdout.write('{"type":"done","id":1,"rea')
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def unknown_event() -> None:
    """Behave like a newer version: send an unknown event and an unknown field."""
    greet()
    command = json.loads(sys.stdin.readline())
    send(type="rumour", id=command["id"])
    send(type="described", id=command["id"], available=True, colour="green")


if __name__ == "__main__":
    globals()[os.environ["MISBEHAVIOUR"]]()
    time.sleep(60)
