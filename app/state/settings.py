"""The settings: one TOML file, validated when read, written in one piece."""

from __future__ import annotations

import os
import tempfile
from enum import StrEnum
from pathlib import Path

import msgspec

from engines.demo import CHECKPOINT
from engines.worker.protocol import Sampling

DEMO = "demo"
"""How the settings name the checkpoint that ships with the project."""


class SettingsError(Exception):
    """The settings file cannot be used; the message says where and why."""


class TimingMode(StrEnum):
    """Whether two engines share the machine while they answer."""

    IN_TURN = "in turn"
    TOGETHER = "together"


class EngineChoice(msgspec.Struct, frozen=True):
    """What stands on one side."""

    backend: str
    precision: str
    kv_precision: str = "auto"


class Settings(msgspec.Struct, frozen=True):
    """Everything the app remembers. Replaced as a whole, never changed in place."""

    theme: str = "playground-dark"
    timing: TimingMode = TimingMode.IN_TURN
    panels: bool = True
    checkpoint: str = DEMO
    """`demo`, a folder, or a hub id."""
    context: int = 2048
    system_prompt: str = ""
    chosen: bool = False
    """Whether the user has picked engines once; before that the app opens on Prepare."""
    left: EngineChoice = EngineChoice("openvino", "int8")
    right: EngineChoice = EngineChoice("pytorch", "fp32")
    sampling: Sampling = Sampling()

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
        return msgspec.toml.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:  # msgspec's errors and TOML's are ValueErrors
        raise SettingsError(f"{path} cannot be used: {error}") from error


def save_settings(path: Path, settings: Settings) -> None:
    """Write the settings beside the old file, then replace it: a crash leaves one of the two.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(msgspec.toml.encode(settings))
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
