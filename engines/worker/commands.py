"""Commands that the app sends to a worker.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from engines.worker.values import Sampling


@dataclass(frozen=True)
class Describe:
    """Ask whether this backend is available, with versions and devices. Reply: Described."""

    TYPE: ClassVar[str] = "describe"
    id: int


@dataclass(frozen=True)
class Fetch:
    """Download a checkpoint from the Hugging Face Hub. Reply: Progress, then Fetched."""

    TYPE: ClassVar[str] = "fetch"
    id: int
    checkpoint: str
    revision: str | None = None


@dataclass(frozen=True)
class Contact:
    """Ask the server of `spec` what it is and what it runs. Reply: Contacted."""

    TYPE: ClassVar[str] = "contact"
    id: int
    spec: dict[str, object]


@dataclass(frozen=True)
class Prepare:
    """Build the engine of `spec`, whose checkpoint is a local folder, into `directory`.

    Reply: Stage and Progress, then Prepared.
    """

    TYPE: ClassVar[str] = "prepare"
    id: int
    spec: dict[str, object]
    directory: str


@dataclass(frozen=True)
class Load:
    """Load the engine of `spec` from `directory` (empty for backends that build nothing). Reply: Ready."""

    TYPE: ClassVar[str] = "load"
    id: int
    spec: dict[str, object]
    directory: str = ""


@dataclass(frozen=True)
class Generate:
    """Answer a conversation, or continue token ids. Reply: Prompt, then Chunk and KV, then Done."""

    TYPE: ClassVar[str] = "generate"
    id: int
    messages: tuple[dict[str, str], ...] = ()
    """`{"role": ..., "content": ...}`; used when token_ids is None."""
    token_ids: tuple[int, ...] | None = None
    sampling: Sampling = field(default_factory=Sampling)
    trim: bool = False
    """Whether to drop the oldest turns when the conversation leaves no space for an answer."""
    template_arguments: dict[str, object] = field(default_factory=dict)
    """Values of the chat template's variables about thinking."""


@dataclass(frozen=True)
class CountTokens:
    """Count the tokens of a conversation; also served while an answer is generated. Reply: TokensCounted."""

    TYPE: ClassVar[str] = "count-tokens"
    id: int
    messages: tuple[dict[str, str], ...]
    texts: tuple[str, ...] = ()
    """Texts whose tokens are counted separately as well."""
    template_arguments: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Stop:
    """End the answer with this `id` within one step. Its Done follows."""

    TYPE: ClassVar[str] = "stop"
    id: int


@dataclass(frozen=True)
class Score:
    """Score given tokens with teacher forcing, by the loaded engine. Reply: Scored."""

    TYPE: ClassVar[str] = "score"
    id: int
    token_ids: tuple[int, ...]
    top_k: int = 0
    reference: str = ""
    """File with the reference's log-probabilities, for the KL divergence; empty for none."""
    keep: str = ""
    """File that gets this engine's log-probabilities; empty for none."""


@dataclass(frozen=True)
class LoadTest:
    """Let simulated users ask at once: each sends its next prompt as soon as its answer is complete.

    Reply: Stage while the engine is loaded for them, then InFlight, then LoadTested. Stop ends it.
    """

    TYPE: ClassVar[str] = "load-test"
    id: int
    users: int
    requests: int
    """Of all users together; as many prompts are answered, unless it is stopped."""
    prompts: tuple[str, ...]
    """The requests take them in turn."""
    sampling: Sampling = field(default_factory=Sampling)
    kv_tokens: int = 0
    """Tokens of the KV cache; 0 for as many as all users can fill."""


@dataclass(frozen=True)
class Tokenize:
    """Convert a text, or a conversation by the chat template, to token ids. Reply: Tokenized.

    Needs no loaded engine.
    """

    TYPE: ClassVar[str] = "tokenize"
    id: int
    checkpoint: str
    """The model's folder."""
    text: str = ""
    messages: tuple[dict[str, str], ...] = ()
    """Used instead of `text` where there are any."""
    token_ids: tuple[int, ...] = ()
    """Used instead of both where there are any: only their texts are wanted."""
    texts: tuple[str, ...] = ()
    """Used instead of all of these where there are any; the reply's `rows` have the ids of each."""
    template_arguments: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Shutdown:
    """Release the engine and exit."""

    TYPE: ClassVar[str] = "shutdown"
    id: int = 0


Command = (
    Describe
    | Fetch
    | Contact
    | Prepare
    | Load
    | Generate
    | CountTokens
    | Stop
    | Score
    | LoadTest
    | Tokenize
    | Shutdown
)
