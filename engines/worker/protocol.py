"""The messages between the app and a worker: dataclasses, one JSON object a line.

Every command carries an `id`; every event that answers it carries the same `id`. Unknown fields are
ignored and unknown types are dropped by the reader, so that either side may be newer than the other.

Standard library only, Python 3.10 and newer: workers of other environments speak it too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cache
from types import UnionType
from typing import ClassVar, Union, get_args, get_origin, get_type_hints

PROTOCOL = 1
"""Raised when a message changes its meaning."""


class ProtocolError(ValueError):
    """A line that is not a message of this protocol."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. The defaults are greedy."""

    max_tokens: int = 512
    temperature: float = 0.0
    """0 is greedy; the options below then do nothing, but for the repetition penalty."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""
    ignore_eos: bool = False
    """Generate max_tokens whatever the model says: for measurements."""


@dataclass(frozen=True)
class KVUsage:
    """The KV cache as the library reports it. A contiguous cache has no blocks: those fields are None."""

    tokens: int = 0
    """Tokens held now."""
    capacity_tokens: int | None = None
    """Tokens that fit; None for a cache that grows."""
    bytes_used: int = 0
    bytes_total: int | None = None
    block_tokens: int | None = None
    """Tokens in a block."""
    used_blocks: int | None = None
    free_blocks: int | None = None
    total_blocks: int | None = None
    reused_blocks: int | None = None
    """Blocks of the last prompt that were found in the cache and not computed again."""


@dataclass(frozen=True)
class MemoryUsage:
    """Bytes by part, as the library knows them; None where it does not."""

    weights: int | None = None
    kv: int | None = None
    other: int | None = None
    peak: int | None = None
    """The most that the library's allocator held at once."""


# --- commands ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Describe:
    """Ask what this backend can do here. Answer: Described."""

    TYPE: ClassVar[str] = "describe"
    id: int


@dataclass(frozen=True)
class Fetch:
    """Bring a checkpoint of the hub onto this disk. Answer: Progress, then Fetched."""

    TYPE: ClassVar[str] = "fetch"
    id: int
    checkpoint: str
    revision: str | None = None


@dataclass(frozen=True)
class Prepare:
    """Build the engine of `spec` (its checkpoint a local folder) into `directory`.

    Answer: Stage and Progress, then Prepared.
    """

    TYPE: ClassVar[str] = "prepare"
    id: int
    spec: dict[str, object]
    directory: str


@dataclass(frozen=True)
class Load:
    """Load the engine of `spec` from `directory` (empty for backends that build nothing). Answer: Ready."""

    TYPE: ClassVar[str] = "load"
    id: int
    spec: dict[str, object]
    directory: str = ""


@dataclass(frozen=True)
class Generate:
    """Answer a conversation, or continue token ids. Answer: Prompt, then Chunk and KV, then Done."""

    TYPE: ClassVar[str] = "generate"
    id: int
    messages: tuple[dict[str, str], ...] = ()
    """`{"role": ..., "content": ...}`; used when token_ids is None."""
    token_ids: tuple[int, ...] | None = None
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class Stop:
    """End the answer `id` within one step. The answer's own Done follows."""

    TYPE: ClassVar[str] = "stop"
    id: int


@dataclass(frozen=True)
class Score:
    """Log-probabilities of given tokens, teacher forced, from the serving engine. Answer: Scored."""

    TYPE: ClassVar[str] = "score"
    id: int
    token_ids: tuple[int, ...]
    top_k: int = 0


@dataclass(frozen=True)
class Shutdown:
    """Release the engine and exit."""

    TYPE: ClassVar[str] = "shutdown"
    id: int = 0


# --- events -----------------------------------------------------------------------------------------


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
    """The prompt as the engine sees it."""

    TYPE: ClassVar[str] = "prompt"
    id: int
    token_ids: tuple[int, ...]
    t_ns: int
    """When the request started: worker's monotonic clock, nanoseconds."""
    cached: int | None = None
    """Tokens at the front whose keys and values were still cached; None where the library does not say."""


@dataclass(frozen=True)
class Chunk:
    """Tokens of an answer, gathered for at most 20 ms or 16 tokens."""

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


Command = Describe | Fetch | Prepare | Load | Generate | Stop | Score | Shutdown
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
    | Chunk
    | KV
    | Memory
    | Done
    | Scored
    | Heartbeat
    | Error
)
TERMINAL = (Described, Fetched, Prepared, Ready, Done, Scored, Error)
"""Events that end the command whose id they carry."""


def encode(message: Command | Event) -> bytes:
    """One line of JSON, newline included."""
    fields = {"type": message.TYPE, **asdict(message)}
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def decode_command(line: bytes) -> Command | None:
    """Read a command; None for a type that this version does not know.

    Raises:
        ProtocolError: the line is not JSON, or a field is missing or of another type.
    """
    return _decode(line, _COMMANDS)  # type: ignore[return-value]


def decode_event(line: bytes) -> Event | None:
    """Read an event; None for a type that this version does not know.

    Raises:
        ProtocolError: the line is not JSON, or a field is missing or of another type.
    """
    return _decode(line, _EVENTS)  # type: ignore[return-value]


def _decode(line: bytes, kinds: dict[str, type]) -> object | None:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {line[:120]!r}") from error
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise ProtocolError(f"not a message: {line[:120]!r}")
    kind = kinds.get(data["type"])
    return None if kind is None else _read(kind, data, data["type"])


@cache
def _hints(kind: type) -> dict[str, object]:
    # get_type_hints takes about 50 microseconds: too much for every chunk of a stream.
    return {name: hint for name, hint in get_type_hints(kind).items() if get_origin(hint) is not ClassVar}


def _read(hint: object, value: object, where: str) -> object:
    """Check `value` against a type hint and turn lists into tuples and objects into dataclasses."""
    if hint is object:
        return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Union or origin is UnionType:
        present = next(option for option in arguments if option is not type(None))
        return None if value is None else _read(present, value, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return _read_fields(hint, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(arguments[0], item, where) for item in value)
    if origin is dict and isinstance(value, dict):
        return {str(key): _read(arguments[1], item, where) for key, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise ProtocolError(f"{where}: {str(value)[:80]!r} is not {hint}")


def _read_fields(kind: type, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise ProtocolError(f"{where}: {str(value)[:80]!r} is not an object")
    hints = _hints(kind)
    known = {name: _read(hints[name], value[name], f"{where}.{name}") for name in hints if name in value}
    try:
        return kind(**known)
    except TypeError as error:
        raise ProtocolError(f"{where}: {error}") from error


def _by_type(union: object) -> dict[str, type]:
    return {kind.TYPE: kind for kind in get_args(union)}


_COMMANDS = _by_type(Command)
_EVENTS = _by_type(Event)
