"""The engine store: built engines by fingerprint, each with a manifest.

    root/engines/<fingerprint>/manifest.json   and the backend's files
    root/building/<fingerprint>-<random>/      a build under way, whose builder holds the lock
    root/locks/<fingerprint>.lock

A build moves in with one rename, so a folder under engines/ is complete or not there.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from engines.build.spec import CHECKPOINT, CONTENT, VERSION, EngineSpec, fingerprint
from engines.errors import EngineError
from engines.worker.error_mapping import DISK_FULL_HINT

MANIFEST_FORMAT = 1
"""Raised when a manifest changes its meaning; engines of other formats are built anew."""

MANIFEST = "manifest.json"
_ENGINE = re.compile("[0-9a-f]{20}")


@dataclass(frozen=True)
class _AnyManifest:
    """What manifests of all formats have in common."""

    format: int


@dataclass(frozen=True)
class Manifest:
    """What an engine is and how it came about."""

    spec: EngineSpec
    inputs: dict[str, str]
    """What the fingerprint was taken of, by name."""
    files: dict[str, int]
    """Relative path to bytes."""
    facts: dict[str, object] = field(default_factory=dict)
    """What the backend says of it, such as `weight_bytes`."""
    build_seconds: float = 0.0
    built_at: float = 0.0
    """Seconds since 1970."""
    format: int = MANIFEST_FORMAT


@dataclass(frozen=True)
class StoredEngine:
    """One entry of the store."""

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


class EngineStore:
    """The engines under one folder. Several apps may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, inputs: dict[str, str]) -> StoredEngine | None:
        """The engine made from exactly these inputs, if it is there and whole."""
        entry = _read(self._place(inputs))
        return entry if isinstance(entry, StoredEngine) and not damage(entry) else None

    def entries(self) -> list[StoredEngine]:
        """Every engine of this format, newest first."""
        found = [entry for folder in self._folders() if isinstance(entry := _read(folder), StoredEngine)]
        return sorted(found, key=lambda entry: -entry.manifest.built_at)

    def foreign(self) -> list[Path]:
        """Folders that this version cannot read: of another version, or damaged."""
        return [folder for folder in self._folders() if isinstance(_read(folder), str)]

    def why_not_reused(self, spec: EngineSpec, inputs: dict[str, str]) -> str:
        """In words, what changed since the most similar engine was built; empty when nothing is similar.

        Args:
            spec: with the checkpoint as a folder on this disk.
        """
        folder = self._place(inputs)
        if folder.exists():
            entry = _read(folder)
            return entry if isinstance(entry, str) else damage(entry)
        twins = [entry for entry in self.entries() if _same_job(entry.manifest, spec, inputs)]
        return changes(twins[0].manifest.inputs, inputs) if twins else ""

    @contextlib.contextmanager
    def lock(self, inputs: dict[str, str]) -> Iterator[bool]:
        """Try to become the one builder of this engine; yields whether that worked."""
        with self._lock(fingerprint(inputs)) as ours:
            yield ours

    @contextlib.contextmanager
    def building(self, inputs: dict[str, str]) -> Iterator[Path]:
        """An empty folder to build in; whatever is left of it afterwards is removed. Wants the lock."""
        root = self.root / "building"
        root.mkdir(parents=True, exist_ok=True)
        name = fingerprint(inputs)
        self.sweep()
        for folder in root.glob(f"{name}-*"):  # of a build that was killed: the lock is ours now
            _delete(folder)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root))
        try:
            yield folder
        finally:
            _delete(folder)

    def move_in(
        self, folder: Path, spec: EngineSpec, inputs: dict[str, str], facts: dict[str, object], seconds: float
    ) -> StoredEngine:
        """Write the manifest and move a finished build into the store with one rename.

        Raises:
            OSError: the disk is full.
        """
        files = {str(path.relative_to(folder)): path.stat().st_size for path in _files(folder)}
        manifest = Manifest(spec, inputs, files, facts, seconds, time.time())
        (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        folder.chmod(0o755)  # mkdtemp keeps others out
        target = self._place(inputs)
        target.parent.mkdir(parents=True, exist_ok=True)
        _delete(target)  # damaged, or of another version: find() said no to it
        folder.rename(target)
        return StoredEngine(target.name, target, manifest)

    def remove(self, entry: StoredEngine) -> None:
        """Delete an engine.

        Raises:
            OSError: it cannot be deleted.
        """
        with contextlib.suppress(FileNotFoundError):  # another app was faster
            shutil.rmtree(entry.directory)

    def prune(self, keep_bytes: int) -> list[StoredEngine]:
        """Delete the oldest engines until the rest takes at most `keep_bytes`; returns the deleted."""
        kept, removed = 0, []
        for entry in self.entries():
            kept += entry.size
            if kept > keep_bytes:
                self.remove(entry)
                removed.append(entry)
        return removed

    def sweep(self) -> None:
        """Remove what killed builds left behind: a builder that lives holds its lock."""
        for folder in (self.root / "building").glob("*-*/"):
            with self._lock(folder.name.partition("-")[0]) as abandoned:
                if abandoned:
                    _delete(folder)

    def _folders(self) -> list[Path]:
        return sorted(path for path in (self.root / "engines").glob("*") if _ENGINE.fullmatch(path.name))

    def _place(self, inputs: dict[str, str]) -> Path:
        return self.root / "engines" / fingerprint(inputs)

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[bool]:
        path = self.root / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except NotImplementedError as error:
            raise OSError(f"{self.root} lies on a file system without locks") from error
        try:
            yield True
        finally:
            lock.release()


def _read(folder: Path) -> StoredEngine | str:
    """The engine in a folder, or in words why it cannot be used."""
    try:
        data = (folder / MANIFEST).read_bytes()
        if msgspec.json.decode(data, type=_AnyManifest).format != MANIFEST_FORMAT:
            return "the stored engine was made by another version of this program"
        return StoredEngine(folder.name, folder, msgspec.json.decode(data, type=Manifest))
    except (OSError, ValueError, RecursionError):
        return "the manifest of the stored engine is damaged"


def changes(before: dict[str, str], now: dict[str, str]) -> str:
    """In words, what differs between the inputs of two fingerprints."""
    told: dict[str, None] = {}  # a set that keeps its order
    for name in {**now, **before}:
        old, new = before.get(name, "none"), now.get(name, "none")
        if old == new:
            continue
        if name.startswith(CHECKPOINT):
            # "header of model.safetensors", "bytes of …", "change of …": to the user all the same file.
            told[f"the checkpoint's {name.removeprefix(CHECKPOINT).rpartition(' of ')[2]} changed"] = None
        elif name.startswith(CONTENT):
            told[f"the {name.removeprefix(CONTENT)} text changed"] = None
        else:
            told[f"{name.removeprefix(VERSION)} changed from {old} to {new}"] = None
    return "; ".join(told)


def damage(entry: StoredEngine) -> str:
    """What is wrong with an engine's files, in words; empty when nothing is."""
    for name, size in entry.manifest.files.items():
        path = entry.directory / name
        try:
            found = path.stat().st_size
        except OSError:
            return f"its file {name} is missing"
        if found != size:
            return f"its file {name} has another size than when it was built"
    return ""


def check_space(root: Path, needed: int) -> None:
    """Refuse a build that cannot fit.

    Raises:
        EngineError: fewer than `needed` bytes are free where the store lies.
    """
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if free < needed:
        raise EngineError(
            "disk-full",
            f"The engine needs about {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free.",
            DISK_FULL_HINT,
        )


def _same_job(manifest: Manifest, spec: EngineSpec, inputs: dict[str, str]) -> bool:
    before = manifest.spec
    same = (before.backend, before.precision, before.options) == (spec.backend, spec.precision, spec.options)
    hub_id = f"{CHECKPOINT}hub id"
    if hub_id in inputs:  # another revision lies in another folder
        return same and manifest.inputs.get(hub_id) == inputs[hub_id]
    return same and before.checkpoint == spec.checkpoint


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _delete(folder: Path) -> None:
    """Remove a folder that may be gone or may still be written to."""
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
