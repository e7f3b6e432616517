"""The settings: one TOML file, validated when read, written in one piece."""

from __future__ import annotations

import threading
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import msgspec

from app.state.settings.atomic_file import write_atomic
from engines.build.options import options_of
from engines.demo import CHECKPOINT
from engines.worker.protocol import Sampling

DEMO = "demo"
"""How the settings name the checkpoint that ships with the project."""
SEEDS = 2**63
"""Their number: no library takes larger ones."""
MINIMUM_CONTEXT = 64
"""Tokens: less holds no conversation."""


class SettingsError(Exception):
    """The settings file cannot be used; the message says where and why."""


class TimingMode(StrEnum):
    """Whether two engines share the machine while they answer."""

    IN_TURN = "in turn"
    TOGETHER = "together"


class ContextFull(StrEnum):
    """What happens to a conversation that the context does not hold."""

    TRIM = "trim"
    REFUSE = "refuse"


class EngineChoice(msgspec.Struct, frozen=True):
    """What stands on one side."""

    backend: str
    precision: str
    kv_precision: str = "auto"
    calibration: str = ""
    """The user's file to calibrate with; empty for the texts that ship with the project."""
    gpus: int = 1
    """Over how many the weights are split."""

    @property
    def options(self) -> dict[str, str]:
        """What an EngineSpec gets of these: only what the backend and the precision take."""
        return options_of(self.backend, self.precision, self.calibration, self.gpus)


class ChatOptions(msgspec.Struct, frozen=True):
    """How an engine is asked: what a side has, and what a preset gives it."""

    system_prompt: str = ""
    sampling: Sampling = Sampling()

    def for_attempt(self, attempt: int) -> Sampling:
        """For another version of an answer: with a seed of its own, so that it can differ."""
        return replace(self.sampling, seed=(self.sampling.seed + attempt) % SEEDS)


class Settings(msgspec.Struct, frozen=True):
    """Everything the app remembers. Replaced as a whole, never changed in place."""

    theme: str = "playground-dark"
    timing: TimingMode = TimingMode.IN_TURN
    panels: bool = True
    folded: tuple[str, ...] = ()
    """Titles of the panels that are folded to a line."""
    checkpoint: str = DEMO
    """`demo`, a folder, or a hub id."""
    context: int = 2048
    context_full: ContextFull = ContextFull.TRIM
    chosen: bool = False
    """Whether the user has picked engines once; before that the app opens on Prepare."""
    welcomed: bool = False
    """Whether the first-run hint has been shown."""
    left: EngineChoice = EngineChoice("openvino", "int8")
    right: EngineChoice = EngineChoice("pytorch", "fp32")
    left_chat: ChatOptions = ChatOptions()
    right_chat: ChatOptions = ChatOptions()
    presets: dict[str, ChatOptions] = {}
    """Those that the user has saved, by name; ours are in `presets.py`."""

    interpreters: dict[str, str] = {}
    """The Python of a backend that cannot live in our environment, by the backend."""

    def chat(self, side: str) -> ChatOptions:
        """How the left or the right side is asked."""
        return self.left_chat if side == "left" else self.right_chat

    @property
    def checkpoint_path(self) -> str:
        """What an EngineSpec wants: `demo` is a folder of the package."""
        return str(CHECKPOINT) if self.checkpoint == DEMO else self.checkpoint


def load_settings(path: Path) -> Settings:
    """Read the settings; a file that does not exist gives the defaults.

    Raises:
        SettingsError: the file cannot be read or holds a value of the wrong kind.
    """
    try:
        found = msgspec.toml.decode(path.read_bytes())
        return msgspec.convert(_of_today(found), Settings)
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:  # msgspec's errors and TOML's are ValueErrors
        raise SettingsError(f"{path} cannot be used: {error}") from error


def _of_today(found: dict[str, object]) -> dict[str, object]:
    """An earlier version had one system prompt and one way of sampling for both sides."""
    shared = {name: found.pop(name) for name in ("system_prompt", "sampling") if name in found}
    return {"left_chat": shared, "right_chat": shared} | found if shared else found


def save_settings(path: Path, settings: Settings) -> None:
    """Write the settings in one piece.

    Raises:
        OSError: the folder cannot be written.
    """
    write_atomic(path, msgspec.toml.encode(settings))


def swapped(settings: Settings) -> dict[str, object]:
    """What changes when the sides change places."""
    return {
        "left": settings.right,
        "right": settings.left,
        "left_chat": settings.right_chat,
        "right_chat": settings.left_chat,
    }


class SettingsFile:
    """Saves settings from threads: of several that were wanted, the latest is what ends up on the disk."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        """None: nothing is ever saved."""
        self._wanted: Settings | None = None
        self._lock = threading.Lock()

    def want(self, settings: Settings) -> None:
        """Let the next `write` save these."""
        self._wanted = settings

    def write(self) -> None:
        """Save what was wanted last, unless that has been done.

        Raises:
            OSError: as `save_settings`.
        """
        with self._lock:
            wanted, self._wanted = self._wanted, None
            if wanted and self.path:
                save_settings(self.path, wanted)
