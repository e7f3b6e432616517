"""The interface of a backend: one instance in one worker.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run here; found without importing anything heavy."""

    available: bool
    versions: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    hint: str = ""
    devices: tuple[str, ...] = ()


class Report(Protocol):
    """Where prepare and load tell how far they are."""

    def stage(self, name: str) -> None:
        """A stage of the backend's `stages` begins."""

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """How far the current stage is."""

    def log(self, line: str) -> None:
        """A line for the user's log view."""

    def give_up(self, error: EngineError) -> None:
        """Tell why and end the process: for a main thread that hangs in native code."""


Emit = Callable[[Sequence[int]], None]
"""Called with the new token ids at the moment the library yields them."""
Stopped = Callable[[], bool]
"""True once the user asked to stop: looked at in every step."""


@dataclass(frozen=True)
class Generated:
    """How an answer ended."""

    reason: str
    """One of `engines.worker.protocol.FINISH_REASONS`."""
    cached: int | None = None
    """Prompt tokens that were not computed again; None where the library does not say."""


@dataclass(frozen=True)
class Scores:
    """See `engines.worker.protocol.Scored`."""

    logprobs: Sequence[float]
    top_ids: Sequence[Sequence[int]] = ()
    top_logprobs: Sequence[Sequence[float]] = ()


def context_of(spec: EngineSpec, positions: int | None) -> int:
    """The smaller of what was asked for and the model's positions, where it has a limit."""
    return min(spec.context, positions or spec.context)


class Backend(ABC):
    """A library that runs checkpoints. Methods are called from the worker's main thread only."""

    name: ClassVar[str]
    title: ClassVar[str]
    prepare_stages: ClassVar[tuple[str, ...]] = ()
    """Names of the stages of `prepare`, in order; empty for a backend that builds nothing."""
    load_stages: ClassVar[tuple[str, ...]] = ("load",)
    context_tokens: int = 0
    """Tokens of prompt and answer together that the loaded engine holds: set by `load`."""
    engine_format: ClassVar[int] = 1
    """Raised when `prepare` writes something else than before: engines of other formats are built anew."""

    @classmethod
    @abstractmethod
    def probe(cls) -> Availability:
        """Look whether the library is installed, which version and which devices, without importing it."""

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """Write the engine's files into `directory` (it exists and is empty).

        It may keep the engine loaded, for a `load` of the same; `close` releases it.

        Args:
            checkpoint: the model folder on this disk, already fetched.

        Returns:
            Facts for the manifest, such as `weight_bytes`.

        Raises:
            EngineError: the checkpoint or precision is not covered, or the disk is full.
        """
        raise NotImplementedError

    @abstractmethod
    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Load the engine and make it ready to generate.

        Args:
            checkpoint: the model folder on this disk.
            directory: what `prepare` wrote; None for a backend that builds nothing.
        """

    @abstractmethod
    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """Continue `token_ids`, calling `emit` for each new token (the end-of-answer token included).

        The caller has checked that the prompt fits `context_tokens` and cut max_tokens to what is left.
        `sampling.stop` is the worker's business; the backend ignores it.
        """

    def score(self, token_ids: Sequence[int], top_k: int = 0) -> Scores:
        """Log-probabilities of token_ids[1:], teacher forced, in fp32, by the serving engine.

        Raises:
            EngineError: the library cannot (code `unsupported`).
        """
        raise EngineError("unsupported", f"{self.title} gives no log-probabilities of a given text.")

    def check_engine(self, spec: EngineSpec, directory: Path, report: Report) -> None:  # noqa: B027
        """Hold the loaded engine against what `prepare` kept of its checkpoint in `directory`, if anything.

        Raises:
            EngineError: it is further from the checkpoint than its precision explains (`smoke-test`).
        """

    def kv_usage(self) -> KVUsage | None:
        """What the library reports now; None where it has nothing."""
        return None

    def memory_usage(self) -> MemoryUsage | None:
        """What the library reports now; None where it has nothing."""
        return None

    def close(self) -> None:  # noqa: B027 - nothing to release is a fair answer
        """Release the engine's memory."""
