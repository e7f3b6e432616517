"""List the models in the local Hugging Face hub cache without importing huggingface_hub.

Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from engines.regular_file import read_start

_REVISION = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,95})(?:/[A-Za-z0-9](?:[A-Za-z0-9._-]{0,95}))?")
UNFINISHED = ".unfinished"
"""End of the name of a file next to `snapshots`, which marks a commit whose files are not all linked."""
MAX_REFERENCE_BYTES = 256
"""A file in refs/ holds one commit hash of 40 bytes."""


@dataclass(frozen=True)
class HubCheckpoint:
    """One model of the hub cache, at one revision."""

    hub_id: str
    """`org/name`, or `name` alone for the oldest models."""
    revision: str
    """Commit hash, 40 hex digits."""
    folder: Path
    """The snapshot: a model folder whose files are links into the cache."""
    is_main: bool
    """Whether the default branch pointed to this revision at the last download."""
    weight_bytes: int
    """Bytes of its safetensors files."""


def hub_cache_folder() -> Path:
    """Return the hub cache folder, from HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME or ~/.cache in that order."""
    if named := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return _expanded(named)
    if home := os.environ.get("HF_HOME"):
        return _expanded(home) / "hub"
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def hub_cache_checkpoints(cache: Path) -> list[HubCheckpoint]:
    """Return the models in `cache` that have config.json and safetensors, by name, the main revision first.

    A cache that does not exist or cannot be read gives an empty list.
    """
    found = [
        checkpoint
        for model in _children(cache)
        if model.name.startswith("models--")
        for checkpoint in _snapshots(model)
    ]
    return sorted(found, key=lambda one: (one.hub_id.lower(), not one.is_main, one.revision))


def hub_snapshot(folder: Path) -> tuple[str, str] | None:
    """Return the hub id and revision of a snapshot folder of a hub cache; None for any other folder."""
    model, parent = folder.parent.parent.name, folder.parent.name
    if parent != "snapshots" or not model.startswith("models--") or not _REVISION.fullmatch(folder.name):
        return None
    return model.removeprefix("models--").replace("--", "/"), folder.name


def looks_like_hub_id(text: str) -> bool:
    """Return whether `text` has the form of a hub id, `org/name` or `name`; the model may not exist."""
    if not _HUB_ID.fullmatch(text) or "--" in text or ".." in text:
        return False
    return not text.endswith((".git", "-", ".")) and Path(text).suffix != ".safetensors"


def _snapshots(model: Path) -> list[HubCheckpoint]:
    main = _main_revision(model)
    found = []
    for folder in _children(model / "snapshots"):
        named = hub_snapshot(folder)
        size = _weight_bytes(folder)
        if (model / f"{folder.name}{UNFINISHED}").exists():
            continue
        if named is not None and size and (folder / "config.json").is_file():
            found.append(HubCheckpoint(*named, folder, named[1] == main, size))
    return found


def _main_revision(model: Path) -> str:
    try:
        return read_start(model / "refs" / "main", MAX_REFERENCE_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _weight_bytes(folder: Path) -> int:
    """Return the bytes of the safetensors files; 0 if a blob is missing after an interrupted download."""
    try:
        return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    except OSError:
        return 0


def _children(folder: Path) -> list[Path]:
    try:
        return [child for child in folder.iterdir() if child.is_dir()]
    except OSError:
        return []


def _expanded(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser()
