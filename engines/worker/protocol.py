"""Messages between the app and a worker: dataclasses, sent as one JSON object per line.

Every command has an `id`, and every event that replies to it has the same `id`. The reader ignores unknown
fields and drops unknown types, so that either side may be newer than the other.

Standard library only, Python 3.10 and newer: workers in other environments use it too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, get_args

from engines.worker.codec import ProtocolError as ProtocolError
from engines.worker.codec import by_type, decode
from engines.worker.codec import command_id as command_id
from engines.worker.codec import encode as encode
from engines.worker.commands import Command as Command
from engines.worker.commands import Contact as Contact
from engines.worker.commands import CountTokens as CountTokens
from engines.worker.commands import Describe as Describe
from engines.worker.commands import Fetch as Fetch
from engines.worker.commands import Generate as Generate
from engines.worker.commands import Load as Load
from engines.worker.commands import LoadTest as LoadTest
from engines.worker.commands import Prepare as Prepare
from engines.worker.commands import Score as Score
from engines.worker.commands import Shutdown as Shutdown
from engines.worker.commands import Stop as Stop
from engines.worker.commands import Tokenize as Tokenize
from engines.worker.values import KVUsage as KVUsage
from engines.worker.values import MemoryUsage as MemoryUsage
from engines.worker.values import RequestState as RequestState
from engines.worker.values import Sampling as Sampling
from engines.worker.values import ServerAnswer as ServerAnswer
from engines.worker.values import ServerFacts as ServerFacts

PROTOCOL = 2
"""Protocol version; increased when a message changes its meaning."""


@dataclass(frozen=True)
class Hello:
    """The first message of every worker."""

    TYPE: ClassVar[str] = "hello"
    protocol: int
    pid: int
    python: str
    backend: str
    id: int = 0


@dataclass(frozen=True)
class Described:
    """Whether a backend is available in this environment."""

    TYPE: ClassVar[str] = "described"
    id: int
    available: bool
    versions: dict[str, str] = field(default_factory=dict)
    """Library to version; part of the fingerprint of an engine."""
    reason: str = ""
    """Why the backend is unavailable."""
    hint: str = ""
    """How to install it."""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """The checkpoint has been downloaded to `folder`."""

    TYPE: ClassVar[str] = "fetched"
    id: int
    folder: str


@dataclass(frozen=True)
class Contacted:
    """A server answered."""

    TYPE: ClassVar[str] = "contacted"
    id: int
    server: ServerFacts


@dataclass(frozen=True)
class Stage:
    """A stage of prepare or load starts: number `index` (from 1) of `of`."""

    TYPE: ClassVar[str] = "stage"
    id: int
    name: str
    index: int
    of: int


@dataclass(frozen=True)
class Progress:
    """Progress of the current stage."""

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
    """The engine has been written to the directory. `facts` are stored in its manifest."""

    TYPE: ClassVar[str] = "prepared"
    id: int
    facts: dict[str, object] = field(default_factory=dict)
    loaded: bool = False
    """Whether the worker keeps the engine loaded, for a Load of the same engine."""


@dataclass(frozen=True)
class Ready:
    """The engine is loaded and warmed up."""

    TYPE: ClassVar[str] = "ready"
    id: int
    memory: MemoryUsage = field(default_factory=MemoryUsage)
    kv: KVUsage = field(default_factory=KVUsage)
    context: int = 0
    """Size of the context window: tokens of prompt and answer together."""
    chat_template: bool = True
    """False if the tokenizer has no chat template: messages are then joined as plain text."""
    warm_up_tokens: int = 0
    """Tokens generated during warm-up; not part of any measurement."""
    load_seconds: float = 0.0
    handed_over: bool = False
    """Whether this worker built the engine and still had it loaded, so that nothing was loaded."""
    ignored_sampling: tuple[str, ...] = ()
    """Names of fields of Sampling that the engine accepts and ignores."""
    template_variables: tuple[str, ...] = ()
    """Variables about thinking that the chat template reads; see `template_arguments`."""
    server: ServerFacts | None = None
    """Of an engine that runs on a server."""


@dataclass(frozen=True)
class Prompt:
    """The prompt of an answer. Without its ids, which would repeat the conversation every time."""

    TYPE: ClassVar[str] = "prompt"
    id: int
    tokens: int
    digest: str
    """SHA-256 of its token ids: equal on both sides if the prompts are equal. Empty if they are not known."""
    t_ns: int
    """When the worker received the request: its monotonic clock, nanoseconds."""
    cached: int | None = None
    """Tokens of the prompt found in the KV cache; None if the library does not report it."""
    left_out: int = 0
    """Number of oldest turns dropped because they did not fit the context window."""
    merged_system: bool = False
    """Whether the system prompt is in the first user message, because the chat template takes none."""
    rewritten: int = 0
    """Tokens of the last prompt and its answer that this prompt, which continues them, does not repeat."""
    rewritten_cause: str = ""
    """Why: `template` or `tokens`, see `engines.worker.rewritten_turns`."""


@dataclass(frozen=True)
class TokensCounted:
    """The length of a conversation, counted with the chat template."""

    TYPE: ClassVar[str] = "tokens-counted"
    id: int
    tokens: int
    context: int
    """Size of the context window: tokens of prompt and answer together."""
    least: int
    """Tokens after the oldest turns have been dropped."""
    left_out: int = 0
    """Number of turns that would be dropped."""
    texts: tuple[int, ...] = ()
    """Tokens of each of the command's `texts`."""


UNITS = ("ids", "tokens", "pieces")
"""What the times of a chunk belong to: tokens whose ids are known; tokens that a server counted, without ids;
pieces of text in which a server does not count the tokens."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive tokens of an answer. `engines.worker.answer` defines when a chunk is sent."""

    TYPE: ClassVar[str] = "chunk"
    id: int
    token_ids: tuple[int, ...]
    t_ns: tuple[int, ...]
    """When the backend yielded each token, before decoding: the worker's monotonic clock, nanoseconds."""
    text: str
    """Text that these tokens add; empty while a character is incomplete."""
    thought: bool = False
    """Whether it is of a thought, and not of the answer. Its tags are part of no text."""
    unit: str = "ids"
    """One of UNITS. Without ids, `t_ns` says when each token or piece arrived from the server."""


@dataclass(frozen=True)
class KV:
    """Current usage of the KV cache."""

    TYPE: ClassVar[str] = "kv"
    id: int
    usage: KVUsage


@dataclass(frozen=True)
class Memory:
    """Current memory usage of the engine."""

    TYPE: ClassVar[str] = "memory"
    id: int
    usage: MemoryUsage


FINISH_REASONS = ("stop", "length", "stopped", "context")
"""End-of-sequence token or stop string; max_tokens reached; stopped by the user; context window full."""


@dataclass(frozen=True)
class Done:
    """The answer has ended. `text` and `thought` equal the joined texts of its chunks of either kind."""

    TYPE: ClassVar[str] = "done"
    id: int
    reason: str
    text: str
    token_ids: tuple[int, ...] = ()
    cached: int | None = None
    """As in Prompt, for libraries that report it only at the end."""
    thought: str = ""
    """What the model thought before it answered; several thoughts are joined."""
    server: ServerAnswer | None = None
    """Of an engine that runs on a server. `token_ids` is empty if the server does not return all of them."""


@dataclass(frozen=True)
class Scored:
    """Natural log-probability of each token i given the tokens before it, for i = 1 … n-1 (n-1 values)."""

    TYPE: ClassVar[str] = "scored"
    id: int
    logprobs: tuple[float, ...]
    top_ids: tuple[tuple[int, ...], ...] = ()
    """For each position the top_k most likely ids, best first; empty if unsupported."""
    top_logprobs: tuple[tuple[float, ...], ...] = ()
    ranks: tuple[int, ...] = ()
    """How many tokens are more likely than token i, with top_k."""
    kl: tuple[float, ...] = ()
    """KL divergence from the command's `reference` over the whole vocabulary, in nats."""


@dataclass(frozen=True)
class InFlight:
    """The requests of a load test that have changed, and what the library says about its batch."""

    TYPE: ClassVar[str] = "in-flight"
    id: int
    t_ns: int
    """When it was sent: the worker's monotonic clock, nanoseconds."""
    requests: tuple[RequestState, ...]
    running: int | None = None
    """Requests in the batch of the last step; None if the library does not report it."""
    waiting: int | None = None
    """Requests that it has and that were not in it."""
    kv: KVUsage | None = None


@dataclass(frozen=True)
class LoadTested:
    """The load test has ended, and the engine answers single prompts again."""

    TYPE: ClassVar[str] = "load-tested"
    id: int
    stopped: bool = False
    """Whether the user ended it."""


@dataclass(frozen=True)
class Tokenized:
    """The token ids of a text, and the text of each token by itself."""

    TYPE: ClassVar[str] = "tokenized"
    id: int
    token_ids: tuple[int, ...]
    pieces: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...] = ()
    """The token ids of each of the command's `texts`."""


@dataclass(frozen=True)
class Heartbeat:
    """Sent once a second while the worker process runs."""

    TYPE: ClassVar[str] = "heartbeat"
    id: int = 0


@dataclass(frozen=True)
class Error:
    """A command failed. The worker accepts further commands unless its process ended."""

    TYPE: ClassVar[str] = "error"
    id: int
    code: str
    message: str
    """What happened, for the user."""
    hint: str = ""
    """What to do next."""
    detail: str = ""
    """A traceback, or the last lines of the log."""


Event = (
    Hello
    | Described
    | Fetched
    | Contacted
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
    | InFlight
    | LoadTested
    | Tokenized
    | Heartbeat
    | Error
)
TERMINAL = (
    Described,
    Fetched,
    Contacted,
    Prepared,
    Ready,
    TokensCounted,
    Done,
    Scored,
    LoadTested,
    Tokenized,
    Error,
)
"""Events that complete the command with the same id."""


_COMMANDS = by_type(get_args(Command))
_EVENTS = by_type(get_args(Event))


def decode_command(line: bytes) -> Command | None:
    """Return the command on a line, or None if its type is unknown to this version.

    Raises:
        ProtocolError: The line is not JSON, or a field is missing or has the wrong type.
    """
    return decode(line, _COMMANDS)  # type: ignore[return-value]


def decode_event(line: bytes) -> Event | None:
    """Return the event on a line, or None if its type is unknown to this version.

    Raises:
        ProtocolError: The line is not JSON, or a field is missing or has the wrong type.
    """
    return decode(line, _EVENTS)  # type: ignore[return-value]
