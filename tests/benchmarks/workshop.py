"""Where benchmarks work: a folder with checkpoints and an engine store, and how much is measured."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.state.settings.paths import NAME
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.demo import CHECKPOINT

PROJECT = Path(__file__).resolve().parents[2]
VARIABLES = ("TRT_PLAYGROUND_CONFIG", "NO_COLOR", "COLUMNS", "LINES", "TEXTUAL", "TEXTUAL_DRIVER")


class BenchmarkError(Exception):
    """Something that should be measured does not run; the message says what."""


@dataclass(frozen=True)
class Numbers:
    """How much is measured."""

    rounds: int = 7
    """After one round of warm-up that is thrown away."""
    tries: int = 3
    """Disturbed rounds are measured again, up to so many times as many; then the quietest must do."""
    sessions: int = 6
    """Times that app and script are started for `in_app`."""
    session_rounds: int = 5
    demo: bool = True
    prompt_tokens: int = 128
    new_tokens: int = 64
    precisions: tuple[str, ...] = ("fp32", "bf16", "int8", "int4")
    reference: str = "pytorch:fp32"
    starts: int = 9
    answers: int = 4
    """Streams an event-loop measurement is made of."""
    stream_seconds: tuple[float, float] = (4.0, 3.0)
    """Length of an answer at 100 and at 500 tok/s each."""
    history: int = 10
    long_history: int = 200
    costed_turns: int = 21
    """One more or less frame makes a tenth of a turn's cost: a few turns would tell of chance."""
    conversations: int = 5
    shape: str = "llama-160m"


FULL = Numbers()
QUICK = Numbers(
    rounds=3,
    sessions=2,
    session_rounds=2,
    starts=3,
    answers=1,
    costed_turns=7,
    conversations=2,
    long_history=35,
)
TINY = Numbers(
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
    shape="llama-tiny",
)


class Workshop:
    """One run of the benchmarks."""

    def __init__(self, folder: Path, numbers: Numbers) -> None:
        self.folder = folder
        self.numbers = numbers
        self.random = random.Random(20_26)
        self.store = EngineStore(folder / "cache" / NAME)
        self.logs = folder / "state" / NAME / "log"

    @property
    def checkpoints(self) -> dict[str, Path]:
        """The demo, where it is there, and the shape that budgets are about."""
        there = self.numbers.demo and (CHECKPOINT / "config.json").is_file()
        demo = {"demo": CHECKPOINT} if there else {}
        return demo | {self.numbers.shape: self.made(self.numbers.shape)}

    @property
    def shape(self) -> Path:
        """The checkpoint that budgets are about."""
        return self.made(self.numbers.shape)

    @property
    def smallest(self) -> tuple[str, Path]:
        """The demo, or a tiny one where it is not there yet."""
        return next(iter(self.checkpoints.items()))

    def made(self, shape: str) -> Path:
        """A random checkpoint, made when it is first asked for."""
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
        """For processes that are measured: their own folders, no network."""
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
        """An engine, written as on the command line: `openvino:int8`."""
        backend, _, precision = engine.partition(":")
        return EngineSpec(str(checkpoint), backend, precision)

    def random_ids(self, checkpoint: Path, length: int) -> tuple[int, ...]:
        """A prompt that no prefix cache has seen: any ids but the special ones."""
        ordinary = ordinary_ids(checkpoint)
        return tuple(self.random.choice(ordinary) for _ in range(length))

    def random_words(self, length: int) -> str:
        """A prompt in letters, for the keyboard."""
        return " ".join(self.random.choice(WORDS) for _ in range(length))


WORDS = tuple(
    "the cache holds keys values blocks tokens memory bandwidth speed answer question model layer head "  # noqa: SIM905
    "weights precision engine prompt prefix reuse paged batch worker process screen panel figure".split()
)


@cache
def ordinary_ids(checkpoint: Path) -> tuple[int, ...]:
    """Every id of the tokenizer that is text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    special = {identity for identity, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    return tuple(identity for identity in sorted(tokenizer.get_vocab().values()) if identity not in special)
