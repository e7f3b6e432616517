#!/usr/bin/env python3
"""A worker that misbehaves on purpose, started in place of a Python interpreter.

The environment variable MISBEHAVIOUR names the function to run; or GARBAGE, a kind of `garbage.KINDS`, which
is sent by a worker that behaves otherwise. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.doubles.garbage import Garbage

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


def serve(garbage: Garbage | None) -> None:
    """Behave like a worker with an engine that answers "Hello ", and send garbage at its place."""
    from garbage import FIRST_TEXT, chunk, done, ready

    greet()
    for line in sys.stdin:
        command = json.loads(line)
        kind, identity = command["type"], command["id"]
        if kind == "shutdown":
            return
        if kind == "generate":
            write({"type": "prompt", "tokens": 3, "digest": "d", "t_ns": "NOW", "cached": 0}, identity)
            write(chunk(FIRST_TEXT, 2), identity)
        if garbage and garbage.at == kind:
            send_garbage(garbage, identity)
        ends = {
            "describe": {"type": "described", "available": True},
            "load": ready(),
            "generate": done(),
            "count-tokens": {"type": "tokens-counted", "tokens": 1, "context": 512, "least": 1},
        }
        if kind in ends:
            write(ends[kind], identity)


def send_garbage(garbage: Garbage, identity: int) -> None:
    """Send one kind of garbage, for ever where it is endless."""
    if garbage.endless is not None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sent = 0
    while sent < garbage.times or garbage.endless is not None:
        sent += 1
        for message in garbage.send:
            if message == b"DIE":
                os.kill(os.getpid(), signal.SIGKILL)
            write(message, identity)
        if garbage.endless is not None:
            time.sleep(garbage.endless)


def write(message: dict[str, Any] | bytes, identity: int) -> None:
    """Write a message for the command with this id, or raw bytes."""
    if isinstance(message, dict):
        fields = {"id": identity} | message
        if "t_ns" in fields:
            fields["t_ns"] = stamped(fields["t_ns"])
        message = json.dumps(fields).encode() + b"\n"
    sys.stdout.buffer.write(message)
    sys.stdout.buffer.flush()


def stamped(value: Any) -> Any:
    """Return the time stamps with the clock for NOW."""
    now = time.monotonic_ns()
    if isinstance(value, list):
        return [now if one == "NOW" else one for one in value]
    return now if value == "NOW" else value


if __name__ == "__main__":
    if kind := os.environ.get("GARBAGE"):
        from garbage import KINDS

        serve(KINDS.get(kind))
    else:
        globals()[os.environ["MISBEHAVIOUR"]]()
        time.sleep(60)
