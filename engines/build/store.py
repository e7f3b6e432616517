"""The engine store: built engines by fingerprint, each with a manifest.

    root/engines/<fingerprint>/manifest.json   and the backend's files
    root/building/<fingerprint>-<pid>/         a build under way
    root/locks/<fingerprint>.lock

A build moves in with one rename, so a folder under engines/ is complete or not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from engines.build.spec import EngineSpec, fingerprint
from engines.errors import EngineError

MANIFEST_FORMAT = 1
"""Raised when a manifest changes its meaning; engines of other formats are built anew."""


@dataclass(frozen=True)
class Manifest:
    """What an engine is and how it came about."""

    spec: dict[str, object]
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
        return EngineSpec.from_json(self.manifest.spec)


class EngineStore:
    """The engines under one folder. Several apps may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, inputs: dict[str, str]) -> StoredEngine | None:
        """The engine made from exactly these inputs, if it is there and whole."""
        entry = self._read(self.root / "engines" / fingerprint(inputs))
        return entry if entry is not None and not damage(entry) else None

    def entries(self) -> list[StoredEngine]:
        """Every engine of this format, newest first."""
        folders = sorted((self.root / "engines").glob("*/"))
        found = [entry for folder in folders if (entry := self._read(folder)) is not None]
        return sorted(found, key=lambda entry: -entry.manifest.built_at)

    def foreign(self) -> list[Path]:
        """Folders that this version cannot read: of another version, or damaged."""
        return [folder for folder in sorted((self.root / "engines").glob("*/")) if self._read(folder) is None]

    def why_not_reused(self, inputs: dict[str, str]) -> str:
        """In words, what changed since the most similar engine was built; empty when nothing is similar."""
        folder = self.root / "engines" / fingerprint(inputs)
        if folder.exists():
            entry = self._read(folder)
            return damage(entry) if entry else "the stored engine was made by another version of this program"
        twins = [entry for entry in self.entries() if _same_job(entry.manifest.inputs, inputs)]
        if not twins:
            return ""
        before = twins[0].manifest.inputs
        return "; ".join(
            f"{name} changed" + (f" from {old} to {new}" if name.startswith("version") else "")
            for name in inputs
            if (old := before.get(name)) != (new := inputs[name])
        )

    @contextlib.contextmanager
    def lock(self, inputs: dict[str, str]) -> Iterator[bool]:
        """Try to become the one builder of this engine; yields whether that worked."""
        path = self.root / "locks" / f"{fingerprint(inputs)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @contextlib.contextmanager
    def building(self, inputs: dict[str, str]) -> Iterator[Path]:
        """An empty folder to build in; whatever is left in it afterwards is removed."""
        self.sweep()
        folder = self.root / "building" / f"{fingerprint(inputs)}-{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def move_in(
        self, folder: Path, spec: EngineSpec, inputs: dict[str, str], facts: dict[str, object], seconds: float
    ) -> StoredEngine:
        """Write the manifest and move a finished build into the store with one rename.

        Raises:
            OSError: the disk is full.
        """
        files = {str(path.relative_to(folder)): path.stat().st_size for path in _files(folder)}
        manifest = Manifest(spec.to_json(), inputs, files, facts, seconds, time.time())
        with (folder / "manifest.json").open("w") as stream:
            json.dump(asdict(manifest), stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        target = self.root / "engines" / fingerprint(inputs)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)  # damaged, or of another version: find() said no to it
        folder.rename(target)
        return StoredEngine(target.name, target, manifest)

    def remove(self, entry: StoredEngine) -> None:
        """Delete an engine."""
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
        """Remove what killed builds left behind."""
        for folder in (self.root / "building").glob("*-*/"):
            pid = folder.name.rpartition("-")[2]
            if not (pid.isdigit() and _alive(int(pid))):
                shutil.rmtree(folder, ignore_errors=True)

    def _read(self, folder: Path) -> StoredEngine | None:
        try:
            data = json.loads((folder / "manifest.json").read_bytes())
            if data["format"] != MANIFEST_FORMAT:
                return None
            manifest = Manifest(**{name: data[name] for name in Manifest.__dataclass_fields__})
            EngineSpec.from_json(manifest.spec)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return StoredEngine(folder.name, folder, manifest)


def damage(entry: StoredEngine) -> str:
    """What is wrong with an engine's files, in words; empty when nothing is."""
    for name, size in entry.manifest.files.items():
        path = entry.directory / name
        if not path.is_file():
            return f"its file {name} is missing"
        if path.stat().st_size != size:
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
            "Free some space, for example with `trt-playground engines prune`, then try again.",
        )


def _same_job(before: dict[str, str], now: dict[str, str]) -> bool:
    same = all(before.get(name) == now.get(name) for name in ("backend", "precision", "device"))
    return same and _checkpoint_name(before) == _checkpoint_name(now)


def _checkpoint_name(inputs: dict[str, str]) -> object:
    with contextlib.suppress(ValueError, AttributeError):
        return json.loads(inputs.get("checkpoint", "{}")).get("name")
    return None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
