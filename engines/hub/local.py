"""The models on this disk: the demo, those that were used, the caches of the hub and others, and folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.demo import CHECKPOINT
from engines.gguf.model_file import is_gguf, part_files, part_of
from engines.hub.gguf_caches import hub_cache_gguf, lm_studio_folders, ollama_models
from engines.plan.checkpoint.gguf_checkpoint import gguf_path, is_gguf_file
from engines.plan.checkpoint.hub_cache import (
    hub_cache_checkpoints,
    hub_cache_folder,
    hub_snapshot,
)

Kind = Literal["demo", "recent", "hub cache", "LM Studio", "ollama", "folder"]
MAX_DEPTH = 2
"""Levels below a search folder: `models/org/name` is found."""
MAX_FOLDERS = 2_000
"""Folders that are listed, of all search folders together."""
MAX_ENTRIES = 10_000
"""Entries of a folder that are read."""


@dataclass(frozen=True)
class LocalModel:
    """A model whose files are on this disk; they may still turn out to be damaged."""

    kind: Kind
    """The first that fits: a snapshot of the hub cache that was used is `recent`."""
    name: str
    """Hub id of a snapshot of the hub cache, else the name of the folder or the GGUF file."""
    path: Path
    """The model folder, or the GGUF file, of several parts the first."""
    hub_id: str
    """Empty where it is not in the hub cache, and for a GGUF file, of which a model of the hub has many."""
    weight_bytes: int
    last_used: float
    """When its weights were read or written last, in seconds since 1970. Linux updates it once a day."""


def local_models(
    recents: Sequence[Path] = (), search_folders: Sequence[Path] = (), cache: Path | None = None
) -> list[LocalModel]:
    """Return the models on this disk, each once: the demo, recents in their order, caches, folders.

    What cannot be read is left out.

    Args:
        recents: model folders and GGUF files that were used before, the last one first.
        search_folders: folders that hold model folders or GGUF files, up to MAX_DEPTH levels deep.
        cache: the hub cache; that of the environment if None.
    """
    cache = cache or hub_cache_folder()
    cached = [one.folder for one in hub_cache_checkpoints(cache)]
    ollama = {one.file: one.name for one in ollama_models()}
    candidates: list[tuple[Kind, Iterable[Path]]] = [
        ("demo", [CHECKPOINT]),
        ("recent", recents),
        ("hub cache", [*cached, *hub_cache_gguf(cache)]),
        ("LM Studio", _models_below(lm_studio_folders())),
        ("ollama", ollama),
        ("folder", _models_below(search_folders)),
    ]
    found: dict[Path, LocalModel] = {}
    for kind, folders in candidates:
        for folder in folders:
            model = _model(kind, folder, ollama.get(folder, ""))
            if model is not None:
                found.setdefault(Path(os.path.realpath(model.path)), model)
    return list(found.values())


def _model(kind: Kind, folder: Path, name: str = "") -> LocalModel | None:
    """Return the model in `folder`; None if it has no config.json or no safetensors, and is no GGUF file.

    Args:
        name: what it is called; by default as its file or folder.
    """
    try:
        folder = gguf_path(folder.expanduser().absolute())
        if folder.is_file():
            return _gguf_model(kind, folder, name)
        if not (folder / "config.json").is_file():
            return None
        weights = [entry.stat() for entry in _entries(folder) if _is_weights(entry)]
    except (OSError, RuntimeError):  # no permission, no home folder
        return None
    if not weights:
        return None
    snapshot = hub_snapshot(folder)
    hub_id = snapshot[0] if snapshot else ""
    return LocalModel(
        kind=kind,
        name=hub_id or folder.name,
        path=folder,
        hub_id=hub_id,
        weight_bytes=sum(status.st_size for status in weights),
        last_used=max(max(status.st_atime, status.st_mtime) for status in weights),
    )


def _gguf_model(kind: Kind, file: Path, name: str) -> LocalModel | None:
    """Return the model of a GGUF file; None for other files. Raises OSError."""
    if not is_gguf_file(file):
        return None
    parts = [one.stat() for one in part_files(file)]
    return LocalModel(
        kind=kind,
        name=name or part_of(file)[0],
        path=file,
        hub_id="",
        weight_bytes=sum(status.st_size for status in parts),
        last_used=max(max(status.st_atime, status.st_mtime) for status in parts),
    )


def _is_weights(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(".safetensors") and entry.is_file()


def _models_below(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield the folders with a config.json and the GGUF models in all folders, each folder's once."""
    pending = [(Path(os.path.expanduser(root)).absolute(), 0) for root in roots]  # noqa: PTH111
    seen: set[str] = set()
    while pending and len(seen) < MAX_FOLDERS:
        folder, depth = pending.pop(0)
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        with suppress(OSError):
            entries = _entries(folder)
            yield from (folder / name for name in sorted(entry.name for entry in entries) if _is_model(name))
            if any(entry.name == "config.json" for entry in entries):
                yield folder
            elif depth < MAX_DEPTH:
                below = sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] != ".")
                pending += [(folder / name, depth + 1) for name in below]


def _is_model(name: str) -> bool:
    """Return whether a file is a GGUF model by its name: not a later part, nor the part that reads images."""
    return is_gguf(Path(name)) and part_of(Path(name))[1] == 1 and not name.lower().startswith("mmproj")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the first MAX_ENTRIES entries of a folder."""
    with os.scandir(folder) as entries:
        return [entry for _, entry in zip(range(MAX_ENTRIES), entries)]  # noqa: B905 - Python 3.10
