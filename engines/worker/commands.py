"""What the app asks of a worker.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from engines.worker.values import Sampling


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
    trim: bool = False
    """Whether the oldest turns are left out where the conversation leaves no room for an answer."""


@dataclass(frozen=True)
class CountTokens:
    """Count a conversation as it would be sent, also while an answer goes on. Answer: TokensCounted."""

    TYPE: ClassVar[str] = "count-tokens"
    id: int
    messages: tuple[dict[str, str], ...]
    texts: tuple[str, ...] = ()
    """Parts of it that are counted by themselves too."""


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


Command = Describe | Fetch | Prepare | Load | Generate | CountTokens | Stop | Score | Shutdown
