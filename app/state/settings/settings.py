"""The settings: one TOML file, validated when it is read, and merged with the changes of other apps."""

from __future__ import annotations

import threading
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from app.state.settings.atomic_file import write_atomic
from app.state.settings.file_lock import locked
from app.state.settings.last_write import LastWrite
from app.state.settings.merge import merge
from engines.build.options import options_of
from engines.demo import CHECKPOINT
from engines.worker.protocol import Sampling
from engines.worker.template_arguments import Thinking

DEMO = "demo"
"""How the settings name the checkpoint that ships with the project."""
SEEDS = 2**63
"""How many there are: no library takes larger ones."""
MINIMUM_CONTEXT = 64
"""Tokens: a conversation does not fit in fewer."""


class SettingsError(Exception):
    """The settings file cannot be used; the message says where and why."""


class TimingMode(StrEnum):
    """Whether two engines answer at the same time, and share the machine."""

    IN_TURN = "in turn"
    TOGETHER = "together"


class ContextFull(StrEnum):
    """What happens to a conversation that does not fit in the context window."""

    TRIM = "trim"
    REFUSE = "refuse"


class Server(msgspec.Struct, frozen=True):
    """A server whose engine is used, and where its key is found; the key itself is never saved."""

    address: str = ""
    """Base URL; empty for an engine on this machine."""
    model: str = ""
    """Empty for the first that it lists."""
    key: str = ""
    """`env:NAME`, `file:PATH`, `keyring:NAME`, or empty."""
    headers: tuple[str, ...] = ()
    """Further headers, `Name: value`; a credential is named as a key is."""


class EngineChoice(msgspec.Struct, frozen=True):
    """The engine that is chosen for a side."""

    backend: str
    precision: str
    kv_precision: str = "auto"
    calibration: str = ""
    """The user's file to calibrate with; empty for the texts that ship with the project, `none` to build
    without calibration."""
    gpus: int = 1
    """Number of GPUs that the weights are split over."""
    device: str = ""
    """The GPU, `cuda:1`, the first of several; empty for that of the side, see `gpu_of`."""
    server: Server = Server()
    """Of an engine that runs on a server."""
    checkpoint: str = ""
    """A GGUF file of the model; empty for the checkpoint of the settings."""

    @property
    def checkpoint_path(self) -> str:
        """The file's path; empty for the checkpoint of the settings."""
        return str(Path(self.checkpoint).expanduser()) if self.checkpoint else ""

    @property
    def options(self) -> dict[str, str]:
        """The options for an EngineSpec: only those that the backend and the precision take."""
        return options_of(self.backend, self.precision, self.calibration, self.gpus)


class ChatOptions(msgspec.Struct, frozen=True):
    """System prompt, sampling and thinking of a side or a preset."""

    system_prompt: str = ""
    sampling: Sampling = Sampling()
    thinking: Thinking = Thinking()

    def for_attempt(self, attempt: int) -> Sampling:
        """Return the sampling of another version of an answer: with another seed, so that it can differ."""
        return replace(self.sampling, seed=(self.sampling.seed + attempt) % SEEDS)


class Settings(msgspec.Struct, frozen=True):
    """Everything that the app remembers. Immutable: a change makes a new object."""

    theme: str = "playground-dark"
    timing: TimingMode = TimingMode.IN_TURN
    panels: bool = True
    scroll_together: bool = False
    """Whether scrolling one side of the chat scrolls the other one to the same place."""
    folded: tuple[str, ...] = ()
    """Titles of the panels that are folded to one line."""
    checkpoint: str = DEMO
    """`demo`, a folder, or a hub id."""
    recent: tuple[str, ...] = ()
    """Checkpoints that were chosen before, the last one first."""
    model_folders: tuple[str, ...] = ("~/models",)
    """Folders whose model folders are listed, up to two levels deep."""
    context: int = 2048
    context_full: ContextFull = ContextFull.TRIM
    chosen: bool = False
    """Whether the user has picked engines once; before that the app opens on Models."""
    welcomed: bool = False
    """Whether the first-run hint has been shown."""
    left: EngineChoice = EngineChoice("openvino", "int8")
    right: EngineChoice = EngineChoice("pytorch", "fp32")
    left_chat: ChatOptions = ChatOptions()
    right_chat: ChatOptions = ChatOptions()
    presets: dict[str, ChatOptions] = {}
    """Presets that the user has saved, by name; the built-in ones are in `presets.py`."""

    servers: dict[str, Server] = {}
    """Servers that the user has saved, by name."""
    interpreters: dict[str, str] = {}
    """Python interpreters of backends that need another environment, by the backend."""

    def chat(self, side: str) -> ChatOptions:
        """Return the system prompt and the sampling of the left or the right side."""
        return self.left_chat if side == "left" else self.right_chat

    @property
    def checkpoint_path(self) -> str:
        """The checkpoint for an EngineSpec: `demo` is a folder of the package."""
        return str(CHECKPOINT) if self.checkpoint == DEMO else self.checkpoint


def load_settings(path: Path) -> Settings:
    """Read the settings; a file that does not exist gives the defaults.

    A backend that this version does not know is loaded like any other name.

    Raises:
        SettingsError: the file cannot be read or holds a value of the wrong kind.
    """
    fields = _read_fields(path)
    return Settings() if fields is None else _settings_of(fields, path)


def save_settings(path: Path, settings: Settings) -> None:
    """Write the settings in one step, and replace what other apps have changed.

    Raises:
        OSError: the folder cannot be written.
    """
    write_atomic(path, msgspec.toml.encode(settings))


def _read_fields(path: Path) -> dict[str, Any] | None:
    """Return what the file holds, not yet validated; None without a file.

    Raises:
        SettingsError: the file cannot be read, or is not TOML.
    """
    try:
        return _current_layout(msgspec.toml.decode(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # msgspec's errors and TOML's are ValueErrors
        raise SettingsError(f"{path} cannot be used: {error}") from error


def _settings_of(fields: dict[str, Any], path: Path) -> Settings:
    try:
        return msgspec.convert(fields, Settings)
    except ValueError as error:
        raise SettingsError(f"{path} cannot be used: {error}") from error


def _current_layout(found: dict[str, Any]) -> dict[str, Any]:
    """Give both sides the one system prompt and sampling that files of an earlier version have."""
    shared = {name: found.pop(name) for name in ("system_prompt", "sampling") if name in found}
    return {"left_chat": shared, "right_chat": shared} | found if shared else found


def swapped(settings: Settings) -> dict[str, object]:
    """Return the changes of the settings that swap the sides."""
    return {
        "left": settings.right,
        "right": settings.left,
        "left_chat": settings.right_chat,
        "right_chat": settings.left_chat,
    }


class SettingsFile:
    """Saves the settings of one app from threads, and keeps what other apps have changed in the file.

    Only fields that this app has changed are written. What cannot be written stays pending, and is written
    with the next change or at the end.
    """

    def __init__(self, path: Path | None, saved: Settings | None = None) -> None:
        """Create it.

        Args:
            path: None: nothing is ever saved.
            saved: the settings as they were read from the file; None for the defaults.
        """
        self.path = path
        self._saved = saved or Settings()
        """What this app has read or written last: the base of the merge."""
        self._pending = self._saved
        self._last_write = LastWrite()
        self._lock = threading.Lock()

    def set_pending(self, settings: Settings) -> None:
        """Let the next `write` save these."""
        self._pending = settings

    @property
    def unsaved(self) -> bool:
        """Whether there are changes that are not in the file."""
        return self.path is not None and self._pending != self._saved

    @property
    def failures(self) -> dict[str, str]:
        """`settings` and `presets`, whichever the last write could not save, with the reason."""
        if not (self.unsaved and self._last_write.reason):
            return {}
        presets = self._pending.presets != self._saved.presets
        others = msgspec.structs.replace(self._pending, presets=self._saved.presets) != self._saved
        kinds = [*(["settings"] if others else []), *(["presets"] if presets else [])]
        return dict.fromkeys(kinds, self._last_write.reason)

    def write(self) -> None:
        """Merge what is pending into the file; without a change nothing is written.

        Not for the event loop: another app may hold the file's lock for a moment.

        Raises:
            OSError: the file cannot be written, another app keeps it locked, or it was made invalid by hand
                since the app has read it. The changes stay pending.
        """
        with self._lock:
            pending = self._pending
            if self.path is None or pending == self._saved:
                return
            with self._last_write.attempt(), locked(self.path):
                write_atomic(self.path, _merged(self.path, self._saved, pending))
            self._saved = pending


def _merged(path: Path, base: Settings, mine: Settings) -> bytes:
    try:
        fields = _read_fields(path)
        if fields is None:
            return msgspec.toml.encode(mine)
        theirs = _settings_of(fields, path)
    except SettingsError as error:
        raise OSError(f"{error}. Correct the file, or delete it.") from error
    merged = merge(*(msgspec.to_builtins(one) for one in (base, mine, theirs)))
    # A newer version may have fields that this one does not know.
    unknown = {name: value for name, value in fields.items() if name not in Settings.__struct_fields__}
    return msgspec.toml.encode({**unknown, **merged})
