"""What a broken worker may send, as data: each kind by its name, sent by misbehaving_worker.py.

Standard library only: the double imports this file without the project.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

NOW = "NOW"
"""Replaced in `t_ns` by the monotonic clock in nanoseconds."""
HUGE = 10**400
"""Larger than any float."""
FIRST_TEXT = "Hello "
"""What the worker answers correctly before the garbage."""

Message = dict[str, Any]


@dataclass(frozen=True)
class Garbage:
    """One kind of garbage."""

    send: tuple[Message | bytes, ...] = ()
    """Messages, each with the command's id unless it has one, or raw bytes."""
    at: str = "generate"
    """Type of the command that is answered with it. Before it the worker behaves."""
    refused: bool = True
    """Whether the app ends the worker. Otherwise the worker then sends correct messages."""
    times: int = 1
    """How often it is sent."""
    kept: str = field(default=FIRST_TEXT)
    """Text that the turn must have at the end, where an answer had begun."""
    endless: float | None = None
    """Seconds between two messages of a worker that never stops; it ignores `shutdown` and SIGTERM too."""


def chunk(text: str = "x", tokens: int = 1, **fields: Any) -> Message:
    """Return a chunk, correct unless `fields` change it."""
    return {"type": "chunk", "token_ids": [5] * tokens, "t_ns": [NOW] * tokens, "text": text} | fields


def done(text: str = FIRST_TEXT, tokens: int = 2, **fields: Any) -> Message:
    """Return the end of the answer, correct unless `fields` change it."""
    return {"type": "done", "reason": "stop", "text": text, "token_ids": [5] * tokens} | fields


def kv(**fields: Any) -> Message:
    """Return a KV event."""
    return {"type": "kv", "usage": fields}


def memory(**fields: Any) -> Message:
    """Return a memory event."""
    return {"type": "memory", "usage": fields}


def ready(**fields: Any) -> Message:
    """Return the end of a load."""
    return {"type": "ready", "context": 512} | fields


BILLION = 10**9
KINDS: dict[str, Garbage] = {
    # numbers
    "time over 1e308": Garbage((chunk(t_ns=[HUGE]),)),
    "time infinite": Garbage((chunk(t_ns=[math.inf]),)),
    "time not a number": Garbage((chunk(t_ns=[math.nan]),)),
    "time negative": Garbage((chunk(t_ns=[-1]),)),
    "time backwards": Garbage((chunk(t_ns=[1]),)),
    "time in the future": Garbage((chunk(t_ns=[2**62]),)),
    "time a float": Garbage((chunk(t_ns=[1.5]),)),
    "token id over 64 bits": Garbage((chunk(token_ids=[2**64]),)),
    "token id negative": Garbage((chunk(token_ids=[-5]),)),
    "token id a text": Garbage((chunk(token_ids=["5"]),)),
    "memory negative": Garbage((memory(weights=-1),)),
    "memory over 1e308": Garbage((memory(kv=HUGE),)),
    "blocks negative": Garbage((kv(used_blocks=-3, total_blocks=5),)),
    "a billion blocks": Garbage((kv(used_blocks=BILLION // 2, total_blocks=BILLION),), refused=False),
    "more blocks used than there are": Garbage((kv(used_blocks=9, total_blocks=5),), refused=False),
    "no blocks": Garbage((kv(used_blocks=0, total_blocks=0, block_tokens=0),), refused=False),
    "the largest figures": Garbage(
        (kv(tokens=2**63 - 1, bytes_used=2**63 - 1), memory(weights=2**63 - 1)), refused=False
    ),
    "digits without end": Garbage((b'{"type":"memory","usage":{"weights":' + b"9" * 100_000 + b"}}\n",)),
    "load time infinite": Garbage((ready(load_seconds=math.inf),), "load"),
    "load time not a number": Garbage((ready(load_seconds=math.nan),), "load"),
    "context negative": Garbage((ready(context=-1),), "load"),
    "progress over 1e308": Garbage(({"type": "progress", "done": HUGE, "total": 1},), "load"),
    "progress infinite": Garbage(({"type": "progress", "done": 1, "total": math.inf},), "load"),
    "progress past its end": Garbage(({"type": "progress", "done": 9, "total": 1},), "load", refused=False),
    "stage 5 of 2": Garbage(({"type": "stage", "name": "s", "index": 5, "of": 2},), "load"),
    "a billion stages": Garbage(({"type": "stage", "name": "s", "index": 1, "of": BILLION},), "load"),
    "stages without end": Garbage(({"type": "stage", "name": "s", "index": 1, "of": 2},), "load", times=500),
    # text
    "half of a surrogate pair": Garbage(
        (chunk("a \ud83d b"), done(FIRST_TEXT + "a \ud83d b", 3)), refused=False, kept=FIRST_TEXT + "a ? b"
    ),
    "control characters": Garbage(
        (chunk("\x1b]52;c;eA==\x07\x00\x9b31m"), done(FIRST_TEXT + "\x1b]52;c;eA==\x07\x00\x9b31m", 3)),
        refused=False,
    ),
    "bytes that are not UTF-8": Garbage((b'{"type":"chunk","id":3,"text":"\xff\xfe"}\n',)),
    "NUL bytes": Garbage((b"\0" * 1000 + b"\n",)),
    "30 MB of text in a chunk": Garbage((chunk("x" * 30_000_000),)),
    "300 KB of text in a chunk": Garbage((chunk("x" * 300_000),)),
    "text for no token": Garbage((chunk("x" * 50_000, 0),)),
    "an error of 200 KB": Garbage(
        ({"type": "error", "code": "c", "message": "m" * 100_000, "hint": "h" * 100_000},), refused=False
    ),
    "an error with half of a surrogate pair": Garbage(
        ({"type": "error", "code": "c", "message": "\ud83d", "detail": "\ud83d"},), refused=False
    ),
    "a log line of 200 KB": Garbage(({"type": "log", "line": "x" * 200_000},), "load", refused=False),
    # sizes and rates
    "a line of 32 MB": Garbage((b"x" * 33_000_000 + b"\n",)),
    "a line without end": Garbage((b"x" * 65_536,), times=1_000),
    "brackets without end": Garbage((b"[" * 500_000 + b"\n",)),
    "500 KB of empty lists": Garbage((b"[" + b"[]," * 160_000 + b"[]]\n",)),
    "200,000 tokens in a chunk": Garbage((chunk("x", 200_000),)),
    "20,000 tokens in a chunk": Garbage((chunk("x", 20_000),)),
    "tokens without end": Garbage((chunk("x ", 5),), endless=0.001, kept=FIRST_TEXT + "x x x "),
    "empty chunks": Garbage((chunk("", 0),), refused=False, times=2_000),
    "heartbeats without end": Garbage(({"type": "heartbeat", "id": 0},), times=50_000),
    "heartbeats just below the limit": Garbage(({"type": "heartbeat", "id": 0},), endless=0.0012),
    "log lines in a burst": Garbage(({"type": "log", "line": "x"},), "load", refused=False, times=5_000),
    # replies
    "scored for generate": Garbage(({"type": "scored", "logprobs": [-1.0]},)),
    "described for generate": Garbage(({"type": "described", "available": True},)),
    "ready for generate": Garbage((ready(),)),
    "done for load": Garbage((done("", 0),), "load"),
    "chunk for load": Garbage((chunk(),), "load"),
    "hello for load": Garbage(
        ({"type": "hello", "protocol": 2, "pid": 1, "python": "3", "backend": "b"},), "load"
    ),
    "counted for describe": Garbage(
        ({"type": "tokens-counted", "tokens": 1, "context": 2, "least": 1},), "describe"
    ),
    "ids of unknown commands": Garbage((chunk(id=999), done(id=999), done(id=10**9)), refused=False),
    "id over 64 bits": Garbage((done(id=2**70),)),
    "two prompts": Garbage(({"type": "prompt", "tokens": 9, "digest": "d", "t_ns": NOW},)),
    "more tokens than times": Garbage((chunk(token_ids=[1, 2, 3]),)),
    "done with another text": Garbage((done("Another answer"),)),
    "done with other tokens": Garbage((done(tokens=500),)),
    "done with an unknown reason": Garbage((done(reason="because"),)),
    "more cached than asked": Garbage((done(cached=BILLION),)),
    "done twice": Garbage((done(), done()), refused=False),
    "tokens after the end": Garbage((done(), chunk(), kv(tokens=3)), refused=False),
    "nothing but the end": Garbage((done("", 0),)),
    # forms
    "not JSON": Garbage((b"Loading weights: 100%\n",)),
    "a number for a message": Garbage((b"17\n",)),
    "a type that is a list": Garbage((b'{"type":["done"]}\n',)),
    "an unknown type": Garbage(({"type": "rumour"},), refused=False),
    "usage that is a list": Garbage(({"type": "kv", "usage": []},)),
    "a field that is missing": Garbage(({"type": "done"},)),
    "text that is null": Garbage((chunk(text=None),)),
    "a death in the middle of a line": Garbage((b'{"type":"done","id":3,"rea', b"DIE")),
}  # fmt: skip
"""All kinds, by name."""
