"""The interface of a backend whose engine runs on a server: messages go in, text comes out.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from engines.backends.base import Backend, Emit, Generated, Report, Stopped
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import Sampling, ServerAnswer, ServerFacts

Messages = Sequence["dict[str, str]"]


@dataclass(frozen=True)
class Piece:
    """What arrived at one moment."""

    t_ns: int
    """When: the monotonic clock, before anything was parsed."""
    text: str = ""
    thought: str = ""
    tokens: int | None = None
    """Tokens that it adds, as the server counts them; None where the server does not count them here."""
    token_ids: tuple[int, ...] = ()
    """The ids of these tokens; empty if the server does not return them."""


@dataclass(frozen=True)
class Started:
    """The request that is answered."""

    t_ns: int
    """When it was sent."""
    prompt_ids: tuple[int, ...] = ()
    """Empty if the server does not return them."""
    prompt_tokens: int = 0
    """0 if it is not known yet."""
    left_out: int = 0
    """Number of oldest turns that were not sent."""


@dataclass(frozen=True)
class Conversation:
    """What is to be answered."""

    messages: Messages
    sampling: Sampling
    trim: bool = False
    """Whether the oldest turns may be left out where the server refuses the length."""
    template_arguments: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """The end of an answer."""

    reason: str
    """One of `engines.worker.protocol.FINISH_REASONS`."""
    server: ServerAnswer
    cached: int | None = None
    """Prompt tokens found in the server's KV cache; None if it does not report it."""


@dataclass(frozen=True)
class Counted:
    """The length of a conversation, by the server's tokenizer."""

    tokens: int
    texts: tuple[int, ...]
    """Of single texts."""


class RemoteBackend(Backend):
    """A backend that asks a server. It has no checkpoint and no tokenizer."""

    facts: ServerFacts
    """Set by `load`."""
    template_variables: tuple[str, ...] = ()
    """Variables about thinking that the server's chat template reads; set by `load`."""

    @abstractmethod
    def contact(self, spec: EngineSpec) -> ServerFacts:
        """Return what the server is and what it runs.

        Raises:
            EngineError: it cannot be used, with the next step.
        """

    @abstractmethod
    def answer(
        self,
        conversation: Conversation,
        begin: Callable[[Started], None],
        take: Callable[[Piece], None],
        stopped: Stopped,
    ) -> Ended:
        """Answer a conversation.

        Args:
            begin: called once, when the server has accepted the request.
            take: called with each piece that arrives.

        Raises:
            EngineError: what went wrong; pieces may have arrived before.
        """

    @abstractmethod
    def count(self, messages: Messages, texts: Sequence[str]) -> Counted:
        """Return the length of a conversation and of texts. Called from any thread.

        Raises:
            EngineError: `unsupported`: the server does not tokenize.
        """

    @abstractmethod
    def token_ids(self, text: str) -> tuple[int, ...]:
        """Return a text as token ids, without special tokens.

        Raises:
            EngineError: `unsupported`: the server does not tokenize.
        """

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Connect; the folders are not used."""
        del checkpoint, directory
        report.stage(self.load_stages[0])
        self.connect(spec, report)

    @abstractmethod
    def connect(self, spec: EngineSpec, report: Report) -> None:
        """Find out what the server is, waiting while it loads its model; set `facts` and `context_tokens`.

        Raises:
            EngineError: it cannot be used.
        """

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """Refuse: a server continues its own conversations only."""
        del token_ids, sampling, eos_token_ids, emit, stopped
        self._refuse_ids()

    def _refuse_ids(self) -> NoReturn:
        raise EngineError(
            "unsupported",
            f"{self.facts.kind} answers conversations; token ids cannot be continued there.",
            "Compare texts, or an engine on this machine.",
        )
