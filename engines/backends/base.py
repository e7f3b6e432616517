"""The interface of a backend. A worker has one instance of one backend.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

if TYPE_CHECKING:
    from engines.backends.batch import Batch
    from engines.worker.logprob_rows import RowReader, RowWriter


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run in this environment."""

    available: bool
    versions: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    hint: str = ""
    devices: tuple[str, ...] = ()
    """Kinds of devices that it can use: `cpu`, `cuda`."""


class Report(Protocol):
    """Receives the stages, progress and log lines of `prepare` and `load`."""

    def stage(self, name: str) -> None:
        """Start a stage: one of the backend's `prepare_stages` or `load_stages`."""

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Set the progress of the current stage."""

    def log(self, line: str) -> None:
        """Add a line to the log shown to the user."""

    def abort(self, error: EngineError) -> None:
        """Report the error and end the process: for a main thread that hangs in native code."""


Loaded = TypeVar("Loaded")
Emit = Callable[[Sequence[int]], None]
"""Called with new token ids as soon as the library yields them."""
Stopped = Callable[[], bool]
"""Returns True once the user has asked to stop. Called at every step."""


@dataclass(frozen=True)
class Generated:
    """The result of `Backend.generate`."""

    reason: str
    """Finish reason: one of `engines.worker.protocol.FINISH_REASONS`."""
    cached: int | None = None
    """Prompt tokens found in the KV cache; None if the library does not report it."""


@dataclass(frozen=True)
class Scores:
    """The result of `Backend.score`; see `engines.worker.protocol.Scored`."""

    logprobs: list[float]
    top_ids: list[list[int]] = field(default_factory=list)
    top_logprobs: list[list[float]] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)


def require_loaded(engine: Loaded | None) -> Loaded:
    """Return what `load` has set.

    Raises:
        EngineError: `not-loaded`.
    """
    if engine is None:
        raise EngineError("not-loaded", "No engine is loaded.", "Load one first.")
    return engine


def context_window(
    spec: EngineSpec, positions: int | None, log: Callable[[str], None] = lambda _: None
) -> int:
    """Return the context window in tokens: the requested one, limited by the model's positions, if any.

    Args:
        log: called with a sentence if the model's limit is below the requested one.
    """
    window = min(spec.context, positions or spec.context)
    if window < spec.context:
        log(f"The context window is {window:,} tokens, the model's own limit.")
    return window


class Backend(ABC):
    """A library that runs checkpoints. Methods are called only from the worker's main thread."""

    name: ClassVar[str]
    title: ClassVar[str]
    prepare_stages: ClassVar[tuple[str, ...]] = ()
    """Stages of `prepare`, in order; empty for a backend that builds nothing."""
    load_stages: ClassVar[tuple[str, ...]] = ("load",)
    """Stages of `load`, in order."""
    reuses_prefix: ClassVar[bool] = True
    """Whether tokens at the start of a prompt may be in the KV cache from the one before."""
    context_tokens: int = 0
    """Context window of the loaded engine: tokens of prompt and answer together. Set by `load`."""
    ignored_sampling: tuple[str, ...] = ()
    """Names of fields of Sampling that the loaded engine ignores. Set by `load`."""
    engine_format: ClassVar[int] = 1
    """Version of what `prepare` writes. Engines of another version are rebuilt."""

    @classmethod  # noqa: B027 - most backends have nothing to prepare
    def start_process(cls) -> None:
        """Prepare a process that runs this backend only. Called before `prepare` and `load`."""

    @classmethod
    @abstractmethod
    def probe(cls) -> Availability:
        """Return whether the library is installed, its version and devices, without importing it."""

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """Build the engine into `directory`, an existing empty folder.

        The engine may stay loaded, for the `load` of the smoke test; `close` releases it.

        Args:
            checkpoint: Local folder of the model.

        Returns:
            Facts for the manifest, such as `weight_bytes`.

        Raises:
            EngineError: The checkpoint or precision is not supported, or the disk is full.
        """
        raise NotImplementedError

    def cannot_load(self, spec: EngineSpec) -> str:
        """Return why an engine that `prepare` built cannot be loaded on this machine; empty if it can.

        It is then stored without a smoke test.
        """
        del spec
        return ""

    @abstractmethod
    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Load the engine and make it ready to generate.

        Args:
            checkpoint: Local folder of the model.
            directory: Folder that `prepare` wrote; None for a backend that builds nothing.

        Raises:
            EngineError: The engine cannot be loaded.
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
        """Continue `token_ids` and call `emit` for each new token, including the end-of-sequence token.

        The caller has checked that the prompt fits `context_tokens` and limited max_tokens to the rest of the
        context window. The worker handles `sampling.stop`; the backend ignores it.
        """

    def score(
        self,
        token_ids: Sequence[int],
        top_k: int = 0,
        reference: RowReader | None = None,
        keep: RowWriter | None = None,
    ) -> Scores:
        """Return the log-probabilities of token_ids[1:] by the loaded engine: teacher forced, in fp32.

        Args:
            top_k: Number of most likely tokens to return for each position.
            reference: The reference's log-probabilities of the whole vocabulary, for the KL divergence.
            keep: Where the log-probabilities of the whole vocabulary are written.

        Raises:
            EngineError: `unsupported`: the library cannot score given tokens, or, with `reference` or `keep`,
                does not return the whole vocabulary.
        """
        raise EngineError("unsupported", f"{self.title} cannot return log-probabilities of a given text.")

    def open_batch(self, users: int, kv_tokens: int, report: Report) -> Batch:
        """Load the engine again so that it runs `users` requests at once; `Batch.close` undoes it.

        Args:
            kv_tokens: tokens of prompts and answers that the KV cache should hold.

        Raises:
            EngineError: `unsupported`: the library runs one request at a time, or this engine does.
        """
        del users, kv_tokens, report
        raise EngineError(
            "unsupported",
            f"{self.title} runs one request at a time: users would wait for each other.",
        )

    def check_engine(self, spec: EngineSpec, directory: Path, report: Report) -> None:  # noqa: B027
        """Compare the loaded engine with the reference that `prepare` wrote to `directory`, if there is one.

        Raises:
            EngineError: `smoke-test`: the difference is larger than the precision explains.
        """

    def moved(self, directory: Path) -> None:  # noqa: B027
        """Continue with the loaded engine, whose folder was renamed to `directory` after its smoke test.

        Releases what only the build and the smoke test needed. Called instead of `load`.
        """

    def kv_usage(self) -> KVUsage | None:
        """Return current usage as the library reports it; None if it reports nothing."""
        return None

    def memory_usage(self) -> MemoryUsage | None:
        """Return current usage as the library reports it; None if it reports nothing."""
        return None

    def close(self) -> None:  # noqa: B027 - a backend may have nothing to release
        """Release the engine's memory."""
