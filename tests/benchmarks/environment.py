"""The environment of benchmarks: a folder with checkpoints and an engine store, and the number of rounds."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.state.settings.paths import NAME
from engines.build.options import options_of
from engines.build.prepare import StartWorker
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.demo import CHECKPOINT
from engines.environments.start import start_worker

PROJECT = Path(__file__).resolve().parents[2]
VARIABLES = ("TRT_PLAYGROUND_CONFIG", "NO_COLOR", "COLUMNS", "LINES", "TEXTUAL", "TEXTUAL_DRIVER")


class BenchmarkError(Exception):
    """A benchmark cannot be run; the message has the reason."""


@dataclass(frozen=True)
class BenchmarkSizes:
    """Number of rounds and sizes of the workloads."""

    rounds: int = 7
    """Counted rounds, after one warm-up round."""
    tries: int = 3
    """Disturbed rounds are repeated, up to `tries` × `rounds` in total; then the quietest are used."""
    sessions: int = 6
    """How often app and script are started in `in_app`."""
    session_rounds: int = 5
    demo: bool = True
    prompt_tokens: int = 128
    new_tokens: int = 64
    precisions: tuple[str, ...] = ("fp32", "bf16", "int8", "int4")
    reference: str = "pytorch:fp32"
    starts: int = 9
    answers: int = 4
    """Answers per event-loop measurement."""
    stream_seconds: tuple[float, float] = (4.0, 3.0)
    """Duration of an answer at 100 and at 500 tok/s."""
    history: int = 10
    long_history: int = 200
    costed_turns: int = 21
    """A single frame is a tenth of the cost of a turn, so a few turns would give a random result."""
    conversations: int = 5
    session_answers: int = 1000
    settled_answers: int = 200
    """Number of answers after which memory must stay flat."""
    scored_tokens: int = 4096
    score_rounds: int = 5
    compared_tokens: int = 500
    redrawn_lines: tuple[int, int] = (100, 1000)
    shape: str = "llama-160m"


FULL = BenchmarkSizes()
QUICK = BenchmarkSizes(
    rounds=3,
    sessions=2,
    session_rounds=2,
    starts=3,
    answers=1,
    costed_turns=7,
    conversations=2,
    long_history=35,
    session_answers=300,
    score_rounds=1,
)
TINY = BenchmarkSizes(
    redrawn_lines=(5, 20),
    rounds=1,
    tries=1,
    sessions=1,
    session_rounds=1,
    demo=False,
    prompt_tokens=16,
    new_tokens=8,
    precisions=("int8",),
    reference="openvino:int4",
    starts=1,
    answers=1,
    stream_seconds=(0.3, 0.1),
    history=2,
    long_history=3,
    costed_turns=1,
    conversations=1,
    session_answers=2,
    settled_answers=0,
    scored_tokens=64,
    score_rounds=1,
    compared_tokens=8,
    shape="llama-tiny",
)


class BenchmarkEnvironment:
    """Folders, checkpoints and random prompts of one run."""

    def __init__(
        self,
        folder: Path,
        sizes: BenchmarkSizes,
        checkpoint: Path | None = None,
        start_worker: StartWorker = start_worker,
    ) -> None:
        """Use `folder` for everything that is written.

        Args:
            checkpoint: what engines are compared on, instead of the demo and the shape of the budgets.
            start_worker: starts the workers of what is not measured from its start.
        """
        self.folder = folder
        self.checkpoint = checkpoint
        self.sizes = sizes
        self.start_worker = start_worker
        self.random = random.Random(20_26)
        self.store = EngineStore(folder / "cache" / NAME)
        self.logs = folder / "state" / NAME / "log"

    @property
    def checkpoints(self) -> dict[str, Path]:
        """The demo, if it exists, and the shape that the budgets are for; or the given checkpoint."""
        if self.checkpoint:
            return {self.checkpoint.name: self.checkpoint}
        has_demo = self.sizes.demo and (CHECKPOINT / "config.json").is_file()
        demo = {"demo": CHECKPOINT} if has_demo else {}
        return demo | {self.sizes.shape: self.random_checkpoint(self.sizes.shape)}

    @property
    def shape(self) -> Path:
        """The checkpoint that the budgets are for."""
        return self.random_checkpoint(self.sizes.shape)

    @property
    def smallest(self) -> tuple[str, Path]:
        """Name and folder of the demo, or of the random checkpoint without a demo."""
        return next(iter(self.checkpoints.items()))

    def random_checkpoint(self, shape: str) -> Path:
        """Return the folder of a random checkpoint; create it on the first call."""
        folder = self.folder / "checkpoints" / shape
        if not (folder / "tokenizer.json").is_file():
            folder.mkdir(parents=True)
            subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.checkpoints", str(folder), shape],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=PROJECT,
                env=self.environment,
            )
        return folder

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of measured processes: separate folders, no network."""
        own = {
            f"XDG_{name}_HOME": str(self.folder / name.lower())
            for name in ("CONFIG", "CACHE", "DATA", "STATE")
        }
        return {name: value for name, value in os.environ.items() if name not in VARIABLES} | own | {
            "HF_HOME": str(self.folder / "hub"),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(PROJECT),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }  # fmt: skip

    def spec(self, engine: str, checkpoint: Path) -> EngineSpec:
        """Return the spec of an engine, written as on the command line: `openvino:int8`."""
        backend, _, precision = engine.partition(":")
        return EngineSpec(str(checkpoint), backend, precision, options=options_of(backend, precision))

    def random_ids(self, checkpoint: Path, length: int) -> tuple[int, ...]:
        """Return random token ids without special tokens, so that there is no cache hit."""
        ordinary = ordinary_ids(checkpoint)
        return tuple(self.random.choice(ordinary) for _ in range(length))

    def random_words(self, length: int) -> str:
        """Return a prompt of random words."""
        return " ".join(self.random.choice(WORDS) for _ in range(length))


WORDS = tuple(
    "the cache holds keys values blocks tokens memory bandwidth speed answer question model layer head "  # noqa: SIM905
    "weights precision engine prompt prefix reuse paged batch worker process screen panel figure".split()
)


@cache
def ordinary_ids(checkpoint: Path) -> tuple[int, ...]:
    """Return every token id of the tokenizer except special tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    special = {identity for identity, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    return tuple(identity for identity in sorted(tokenizer.get_vocab().values()) if identity not in special)
