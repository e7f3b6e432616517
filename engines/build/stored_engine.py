"""An entry of the engine store: an engine with its manifest, or a folder that this release cannot read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from engines.backends.registry import BACKENDS
from engines.build.spec import GPUS, EngineSpec
from engines.plan.precision import PRECISIONS
from engines.regular_file import read_regular, special_kind

MANIFEST_FORMAT = 1
"""Raised when a manifest changes its meaning; engines of other formats are rebuilt."""

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1_000_000
"""A compiled engine with some hundred files has 50 kB."""
_LATEST = 253_370_764_800.0
"""1 January 9999: later times cannot be shown as a date."""
_LARGEST = 1 << 60
"""Bytes: no file is larger than an EiB."""


@dataclass(frozen=True)
class _AnyManifest:
    """The part that manifests of all formats share."""

    format: int


@dataclass(frozen=True)
class Manifest:
    """What an engine is and how it was built."""

    spec: EngineSpec
    inputs: dict[str, str]
    """What the fingerprint is a hash of, by name."""
    files: dict[str, int]
    """Relative path to bytes."""
    facts: dict[str, object] = field(default_factory=dict)
    """What the backend reported about it, such as `weight_bytes`."""
    build_seconds: float = 0.0
    built_at: float = 0.0
    """Seconds since 1970."""
    format: int = MANIFEST_FORMAT


@dataclass(frozen=True)
class StoredEngine:
    """An engine that this release can read."""

    fingerprint: str
    directory: Path
    manifest: Manifest

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(self.manifest.files.values())

    @property
    def spec(self) -> EngineSpec:
        """What it was built from."""
        return self.manifest.spec


@dataclass(frozen=True)
class UnreadableEngine:
    """A folder of the store that this release cannot use: it can only be listed and deleted."""

    fingerprint: str
    """Name of the folder; of an unfinished build the fingerprint is only its first part."""
    directory: Path
    size: int
    """Bytes on disk."""
    reason: str
    """Such as `manifest damaged` or `format 3, this release reads 1`."""


StoreEntry = StoredEngine | UnreadableEngine


def read_entry(folder: Path) -> StoredEngine | str | None:
    """Return the engine in a folder, why it cannot be used, or None if the folder is gone."""
    file = folder / MANIFEST
    try:
        if not file.is_file():
            return "manifest missing" if folder.exists() else None
        data = read_regular(file, MAX_MANIFEST_BYTES)
        found = msgspec.json.decode(data, type=_AnyManifest).format
        if found != MANIFEST_FORMAT:
            return f"format {found}, this release reads {MANIFEST_FORMAT}"
        manifest = msgspec.json.decode(data, type=Manifest)
    except (OSError, ValueError, RecursionError):
        return "manifest damaged"
    return _refusal(manifest) or StoredEngine(folder.name, folder, manifest)


def _refusal(manifest: Manifest) -> str:
    """Return why a manifest of the right shape cannot be used; empty if it can."""
    spec = manifest.spec
    if spec.backend not in BACKENDS:
        return f"unknown backend {spec.backend!r}"
    if spec.precision not in PRECISIONS:
        return f"unknown precision {spec.precision!r}"
    plausible = (
        spec.options.get(GPUS, "1").isdecimal()
        and 0 <= manifest.built_at < _LATEST
        and all(0 <= size < _LARGEST for size in manifest.files.values())
    )
    return "" if plausible else "manifest damaged"


def damage(entry: StoredEngine) -> str:
    """Return what is wrong with an engine's files, as text; empty if nothing is. One stat a file."""
    for name, size in entry.manifest.files.items():
        path = entry.directory / name
        try:
            status = path.stat()
        except (OSError, ValueError):  # ValueError: a name with a NUL
            return f"its file {name} is missing"
        if kind := special_kind(status.st_mode):
            return f"its file {name} is {kind}"
        if status.st_size != size:
            return f"its file {name} has another size than when it was built"
    return ""
