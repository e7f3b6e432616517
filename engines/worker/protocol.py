"""The messages between the app and a worker: dataclasses, one JSON object a line.

Every command carries an `id`; every event that answers it carries the same `id`. Unknown fields are
ignored and unknown types are dropped by the reader, so that either side may be newer than the other.

Standard library only, Python 3.10 and newer: workers of other environments speak it too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, get_args

from engines.worker.codec import ProtocolError as ProtocolError
from engines.worker.codec import by_type, decode
from engines.worker.codec import command_id as command_id
from engines.worker.codec import encode as encode
from engines.worker.commands import Command as Command
from engines.worker.commands import CountTokens as CountTokens
from engines.worker.commands import Describe as Describe
from engines.worker.commands import Fetch as Fetch
from engines.worker.commands import Generate as Generate
from engines.worker.commands import Load as Load
from engines.worker.commands import Prepare as Prepare
from engines.worker.commands import Score as Score
from engines.worker.commands import Shutdown as Shutdown
from engines.worker.commands import Stop as Stop
from engines.worker.values import KVUsage as KVUsage
from engines.worker.values import MemoryUsage as MemoryUsage
from engines.worker.values import Sampling as Sampling

PROTOCOL = 2
"""Raised when a message changes its meaning."""


@dataclass(frozen=True)
class Hello:
    """First line of every worker."""

    TYPE: ClassVar[str] = "hello"
    protocol: int
    pid: int
    python: str
    backend: str
    id: int = 0


@dataclass(frozen=True)
class Described:
    """What a backend can do here."""

    TYPE: ClassVar[str] = "described"
    id: int
    available: bool
    versions: dict[str, str] = field(default_factory=dict)
    """Library to version; these are part of an engine's fingerprint."""
    reason: str = ""
    """Why it is not available, in words."""
    hint: str = ""
    """How to get it."""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """The checkpoint is complete in `folder`."""

    TYPE: ClassVar[str] = "fetched"
    id: int
    folder: str


@dataclass(frozen=True)
class Stage:
    """A stage of prepare or load begins: number `index` (from 1) of `of`."""

    TYPE: ClassVar[str] = "stage"
    id: int
    name: str
    index: int
    of: int


@dataclass(frozen=True)
class Progress:
    """How far the current stage is."""

    TYPE: ClassVar[str] = "progress"
    id: int
    done: float
    total: float
    unit: str = ""


@dataclass(frozen=True)
class Log:
    """A line for the user's log view."""

    TYPE: ClassVar[str] = "log"
    id: int
    line: str


@dataclass(frozen=True)
class Prepared:
    """The engine's files are complete in the directory. `facts` go into its manifest."""

    TYPE: ClassVar[str] = "prepared"
    id: int
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """The engine is loaded and warm."""

    TYPE: ClassVar[str] = "ready"
    id: int
    memory: MemoryUsage = field(default_factory=MemoryUsage)
    kv: KVUsage = field(default_factory=KVUsage)
    context: int = 0
    """Tokens of prompt and answer together."""
    chat_template: bool = True
    """False: the tokenizer has none, and a conversation is joined as plain text."""
    warm_up_tokens: int = 0
    """Tokens generated before anybody asked, left out of every figure."""
    load_seconds: float = 0.0


@dataclass(frozen=True)
class Prompt:
    """The prompt as the engine sees it. Not its ids: they would be the whole conversation again each time."""

    TYPE: ClassVar[str] = "prompt"
    id: int
    tokens: int
    digest: str
    """Of its token ids: the same on both sides, if they were asked the same."""
    t_ns: int
    """When the request started: worker's monotonic clock, nanoseconds."""
    cached: int | None = None
    """Tokens at the front whose keys and values were still cached; None where the library does not say."""
    left_out: int = 0
    """The oldest turns that are not in it, because the context holds no more."""


@dataclass(frozen=True)
class TokensCounted:
    """How long a conversation is as it would be sent."""

    TYPE: ClassVar[str] = "tokens-counted"
    id: int
    tokens: int
    context: int
    """Tokens of prompt and answer together that the engine holds."""
    least: int
    """Tokens without the turns that trimming would leave out."""
    left_out: int = 0
    """Their number."""
    texts: tuple[int, ...] = ()
    """Tokens of each text by itself."""


@dataclass(frozen=True)
class Chunk:
    """Tokens of an answer, gathered for a moment: `engines.worker.answer` says for how long."""

    TYPE: ClassVar[str] = "chunk"
    id: int
    token_ids: tuple[int, ...]
    t_ns: tuple[int, ...]
    """When the backend yielded each token, before decoding or drawing: worker's monotonic clock."""
    text: str
    """What these tokens add to the shown text; a token inside a character adds nothing yet."""


@dataclass(frozen=True)
class KV:
    """The KV cache now."""

    TYPE: ClassVar[str] = "kv"
    id: int
    usage: KVUsage


@dataclass(frozen=True)
class Memory:
    """The engine's memory now."""

    TYPE: ClassVar[str] = "memory"
    id: int
    usage: MemoryUsage


FINISH_REASONS = ("stop", "length", "stopped", "context")
"""End of answer or stop text; max_tokens reached; stopped by the user; the context is full."""


@dataclass(frozen=True)
class Done:
    """An answer ended. `text` is the whole answer, so that nothing shown can differ from what was sent."""

    TYPE: ClassVar[str] = "done"
    id: int
    reason: str
    text: str
    token_ids: tuple[int, ...] = ()
    cached: int | None = None
    """As in Prompt, once the library knows."""


@dataclass(frozen=True)
class Scored:
    """Natural log-probability of token i given the tokens before it, for i = 1 … n-1 (n-1 values)."""

    TYPE: ClassVar[str] = "scored"
    id: int
    logprobs: tuple[float, ...]
    top_ids: tuple[tuple[int, ...], ...] = ()
    """For each of these positions the top_k most likely ids, best first; empty where unsupported."""
    top_logprobs: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Heartbeat:
    """The worker's process still runs."""

    TYPE: ClassVar[str] = "heartbeat"
    id: int = 0


@dataclass(frozen=True)
class Error:
    """A command failed. The worker goes on unless its process ended."""

    TYPE: ClassVar[str] = "error"
    id: int
    code: str
    message: str
    """What happened, in words for the user."""
    hint: str = ""
    """What to do next."""
    detail: str = ""
    """A traceback or the log's last lines, for whoever wants to look."""


Event = (
    Hello
    | Described
    | Fetched
    | Stage
    | Progress
    | Log
    | Prepared
    | Ready
    | Prompt
    | TokensCounted
    | Chunk
    | KV
    | Memory
    | Done
    | Scored
    | Heartbeat
    | Error
)
TERMINAL = (Described, Fetched, Prepared, Ready, TokensCounted, Done, Scored, Error)
"""Events that end the command whose id they carry."""


_COMMANDS = by_type(get_args(Command))
_EVENTS = by_type(get_args(Event))


def decode_command(line: bytes) -> Command | None:
    """Read a command; None for a type that this version does not know.

    Raises:
        ProtocolError: the line is not JSON, or a field is missing or of another type.
    """
    return decode(line, _COMMANDS)  # type: ignore[return-value]


def decode_event(line: bytes) -> Event | None:
    """Read an event; None for a type that this version does not know.

    Raises:
        ProtocolError: the line is not JSON, or a field is missing or of another type.
    """
    return decode(line, _EVENTS)  # type: ignore[return-value]
