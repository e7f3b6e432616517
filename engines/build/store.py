"""The engine store: built engines by fingerprint, each with a manifest.

    root/engines/<fingerprint>/manifest.json   and the backend's files
    root/building/<fingerprint>-<random>/      a build in progress, whose builder holds the lock
    root/locks/<fingerprint>.lock

A build is committed with one rename, so a folder below engines/ is complete. Everything here reads or writes
the disk: asyncio code calls it through `engines.build.off_loop`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from engines.build.folders import delete, files_below, folder_bytes, try_delete
from engines.build.rebuild_reason import changes, same_request
from engines.build.spec import EngineSpec, fingerprint
from engines.build.stored_engine import (
    MANIFEST,
    Manifest,
    StoredEngine,
    StoreEntry,
    UnreadableEngine,
    damage,
    read_entry,
)
from engines.errors import EngineError
from engines.plan.checkpoint.folder_files import refuse_undecodable
from engines.worker.error_mapping import DISK_FULL_HINT

_FINGERPRINT = re.compile("[0-9a-f]{12,64}")
"""Twenty digits in this release; folders with more or fewer are listed as unreadable."""


@dataclass(frozen=True)
class Pruned:
    """What `EngineStore.prune` did."""

    removed: list[StoreEntry]
    problems: list[str]
    """Why entries could not be deleted."""


class EngineStore:
    """The engines under one folder. Several apps may use it at the same time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, inputs: dict[str, str]) -> StoredEngine | None:
        """Return the engine built from exactly these inputs; None if it is missing or damaged."""
        entry = read_entry(self._place(inputs))
        return entry if isinstance(entry, StoredEngine) and not damage(entry) else None

    def engines(self) -> list[StoredEngine]:
        """Return every engine that this release can read, newest first."""
        found = [entry for folder in self._folders() if isinstance(entry := read_entry(folder), StoredEngine)]
        return sorted(found, key=lambda entry: -entry.manifest.built_at)

    def unreadable(self) -> list[UnreadableEngine]:
        """Return what this release cannot use: damaged, of another release, or left by a build that died."""
        found = [(folder, read_entry(folder)) for folder in self._folders()]
        found += [(folder, "unfinished build") for folder in self._builds() if self._is_abandoned(folder)]
        return [
            UnreadableEngine(folder.name, folder, folder_bytes(folder), reason)
            for folder, reason in found
            if isinstance(reason, str)
        ]

    def matching(self, name: str) -> list[StoreEntry]:
        """Return the entries whose fingerprint begins with `name`; only the one that it names in full."""
        entries: list[StoreEntry] = [*self.engines(), *self.unreadable()]
        exact = [entry for entry in entries if entry.fingerprint == name]
        return exact or [entry for entry in entries if name and entry.fingerprint.startswith(name)]

    def why_not_reused(self, spec: EngineSpec, inputs: dict[str, str]) -> str:
        """Return what changed since the most similar engine was built, as text; empty if there is none.

        Args:
            spec: with the checkpoint as a folder on this disk.
        """
        folder = self._place(inputs)
        if folder.exists():
            entry = read_entry(folder)
            if isinstance(entry, str):
                return f"the stored engine cannot be used: {entry}"
            return damage(entry) if entry else ""
        for entry in self.engines():
            if same_request(entry.spec, entry.manifest.inputs, spec, inputs):
                return changes(entry.manifest.inputs, inputs)
        return ""

    @contextlib.contextmanager
    def lock(self, inputs: dict[str, str]) -> Iterator[bool]:
        """Try to become the only builder of this engine; yield whether that worked.

        Raises:
            OSError: the file system has no locks, or cannot be written.
        """
        with self._lock(fingerprint(inputs)) as acquired:
            yield acquired

    @contextlib.contextmanager
    def building(self, inputs: dict[str, str]) -> Iterator[Path]:
        """Yield an empty folder to build in, and delete what is left of it afterwards. Requires the lock."""
        root = self.root / "building"
        root.mkdir(parents=True, exist_ok=True)
        name = fingerprint(inputs)
        self.sweep()
        for folder in root.glob(f"{name}-*"):  # of a build that was killed: this process has the lock now
            try_delete(folder)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root))
        try:
            yield folder
        finally:
            try_delete(folder)

    def commit(
        self, folder: Path, spec: EngineSpec, inputs: dict[str, str], facts: dict[str, object], seconds: float
    ) -> StoredEngine:
        """Write the manifest and move a finished build into the store with one rename.

        Raises:
            OSError: the disk is full.
            EngineError: a path cannot be written to the manifest (`undecodable-path`).
        """
        refuse_undecodable(spec.checkpoint)
        files = {str(path.relative_to(folder)): path.stat().st_size for path in files_below(folder)}
        manifest = Manifest(spec, inputs, files, facts, seconds, time.time())
        (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        folder.chmod(0o755)  # mkdtemp keeps others out
        target = self._place(inputs)
        target.parent.mkdir(parents=True, exist_ok=True)
        try_delete(target)  # damaged or unreadable: find() refused it
        folder.rename(target)
        return StoredEngine(target.name, target, manifest)

    def remove(self, entry: StoreEntry) -> None:
        """Delete an engine or an unreadable folder; nothing happens if it is gone.

        Raises:
            OSError: it cannot be deleted.
        """
        delete(entry.directory)

    def prune(self, keep_bytes: int) -> Pruned:
        """Delete entries until the rest takes at most `keep_bytes`: unreadable ones first, then the oldest.

        What cannot be deleted is reported and no longer counted, so that no other engine goes for it.
        """
        entries: list[StoreEntry] = [*self.unreadable(), *reversed(self.engines())]
        total = sum(entry.size for entry in entries)
        done = Pruned([], [])
        for entry in entries:
            if total <= keep_bytes:
                break
            total -= entry.size
            try:
                self.remove(entry)
            except OSError as error:
                done.problems.append(f"{entry.fingerprint}: {error}")
            else:
                done.removed.append(entry)
        return done

    def sweep(self) -> None:
        """Delete what builds that died left behind; a running builder holds its lock."""
        for folder in self._builds():
            with self._lock(_engine_of(folder)) as abandoned:
                if abandoned:
                    try_delete(folder)

    def _folders(self) -> list[Path]:
        return sorted(path for path in (self.root / "engines").glob("*") if _FINGERPRINT.fullmatch(path.name))

    def _builds(self) -> list[Path]:
        return sorted((self.root / "building").glob("*-*/"))

    def _is_abandoned(self, build: Path) -> bool:
        """Return whether its builder has died, without creating a lock: the store may be read-only."""
        try:
            if not self._lock_path(_engine_of(build)).exists():
                return True
            with self._lock(_engine_of(build)) as free:
                return free
        except OSError:
            return False

    def _place(self, inputs: dict[str, str]) -> Path:
        return self.root / "engines" / fingerprint(inputs)

    def _lock_path(self, name: str) -> Path:
        return self.root / "locks" / f"{name}.lock"

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[bool]:
        path = self._lock_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, thread_local=False)  # off_loop may release it in another thread
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except NotImplementedError as error:
            raise OSError(f"the file system of {self.root} has no locks") from error
        try:
            yield True
        finally:
            lock.release()


def _engine_of(build: Path) -> str:
    return build.name.partition("-")[0]


def check_space(root: Path, needed: int) -> None:
    """Refuse a build that cannot fit.

    Raises:
        EngineError: fewer than `needed` bytes are free on the store's disk.
    """
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if free < needed:
        raise EngineError(
            "disk-full",
            f"The engine needs about {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free.",
            DISK_FULL_HINT,
        )
