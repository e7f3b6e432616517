"""Where other programs keep GGUF files on this disk: LM Studio, ollama, the hub cache. Nothing is written.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from engines.errors import EngineError
from engines.plan.checkpoint.gguf_checkpoint import gguf_files
from engines.plan.checkpoint.hub_cache import hub_snapshot
from engines.plan.checkpoint.json_file import read_json_object

LM_STUDIO = ("~/.lmstudio/models", "~/.cache/lm-studio/models")
OLLAMA = ("~/.ollama/models", "/usr/share/ollama/.ollama/models")
MODEL_LAYER = "application/vnd.ollama.image.model"
MAX_MANIFESTS = 1_000
MAX_SNAPSHOTS = 2_000
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_MANIFEST_DEPTH = 4
"""Registry, owner, model and tag: `registry.ollama.ai/library/llama3.2/1b`."""


class OllamaModel(NamedTuple):
    """A model of ollama."""

    name: str
    """As ollama calls it, such as `llama3.2:1b`."""
    file: Path
    """A GGUF file that is named by its digest."""


def lm_studio_folders() -> list[Path]:
    """Return the folders in which LM Studio keeps models, those that exist."""
    return _existing(LM_STUDIO)


def ollama_models() -> list[OllamaModel]:
    """Return the models of ollama, from OLLAMA_MODELS or where it keeps them by default, by name."""
    named = os.environ.get("OLLAMA_MODELS")
    found = [
        model
        for folder in _existing((named,) if named else OLLAMA)
        for manifest in _files(folder / "manifests", _MANIFEST_DEPTH, MAX_MANIFESTS)
        if (model := _ollama_model(folder, manifest))
    ]
    return sorted(found)


def hub_cache_gguf(cache: Path) -> list[Path]:
    """Return the GGUF files in the snapshots of a hub cache, those in a subfolder of a snapshot too."""
    found: list[Path] = []
    with suppress(OSError):
        snapshots = sorted(cache.glob("models--*/snapshots/*"))[:MAX_SNAPSHOTS]
        for folder in filter(hub_snapshot, snapshots):
            for place in (folder, *sorted(one for one in folder.iterdir() if one.is_dir())):
                found += gguf_files(place)
    return found


def _ollama_model(folder: Path, manifest: Path) -> OllamaModel | None:
    """Return the model that a manifest names; None where it is damaged or has no GGUF file here."""
    with suppress(EngineError, OSError):
        layers = read_json_object(manifest).get("layers")
        for layer in layers if isinstance(layers, list) else []:
            if not isinstance(layer, dict) or layer.get("mediaType") != MODEL_LAYER:
                continue
            digest = _DIGEST.fullmatch(str(layer.get("digest")))
            file = folder / "blobs" / f"sha256-{digest[1]}" if digest else None
            if file is not None and file.is_file():
                return OllamaModel(_ollama_name(manifest), file)
    return None


def _ollama_name(manifest: Path) -> str:
    owner, model, tag = manifest.parts[-3:]
    return f"{model}:{tag}" if owner == "library" else f"{owner}/{model}:{tag}"


def _existing(folders: tuple[str, ...]) -> list[Path]:
    found = []
    for folder in folders:
        with suppress(OSError, RuntimeError):  # no permission, no home folder
            path = Path(folder).expanduser()
            if path.is_dir():
                found.append(path)
    return found


def _files(folder: Path, depth: int, limit: int) -> Iterator[Path]:
    """Yield at most `limit` files that lie exactly `depth` levels below a folder."""
    pending, seen = [(folder, depth)], 0
    while pending and seen < limit:
        place, levels = pending.pop()
        seen += 1
        if not levels:
            yield place
            continue
        with suppress(OSError), os.scandir(place) as entries:
            names = sorted(entry.name for _, entry in zip(range(limit), entries))  # noqa: B905 - Python 3.10
            pending += [(place / name, levels - 1) for name in reversed(names)]
