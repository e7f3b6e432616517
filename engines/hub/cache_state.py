"""What the hub cache has of a model: complete files, and parts of files.

Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
Standard library only, Python 3.10 and newer: workers in other environments use it too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from engines.errors import EngineError
from engines.hub.listing import HubFile, Listing
from engines.plan.checkpoint.hub_cache import UNFINISHED
from engines.worker.error_mapping import DISK_FULL_HINT

PART_SUFFIX = ".http.incomplete"
"""End of the name of a part, which holds the first bytes of the file. Parts of huggingface_hub have other
names: their bytes are those that its Xet client wrote first, and no other process continues them."""
RESERVE_BYTES = 100_000_000
"""Stays free after a download: the app saves conversations and settings."""


class CacheState:
    """The folder of one model in a hub cache; nothing is created or read by it.

    Args:
        cache: the hub cache.
    """

    def __init__(self, cache: Path, listing: Listing) -> None:
        name = "models--" + listing.hub_id.replace("/", "--")
        self.cache = cache
        self.blobs = cache / name / "blobs"
        self.locks = cache / ".locks" / name
        self.unfinished = cache / name / f"{listing.commit}{UNFINISHED}"
        """Marks a snapshot that lacks links, so that it is not taken for a checkpoint."""
        self._snapshot = cache / name / "snapshots" / listing.commit

    def blob(self, file: HubFile) -> Path:
        """The complete file, where huggingface_hub looks for it."""
        return self.blobs / file.digest

    def part(self, file: HubFile) -> Path:
        """The first bytes of a file that is being downloaded."""
        return self.blobs / f"{file.digest}{PART_SUFFIX}"

    def lock(self, file: HubFile) -> Path:
        """The lock that huggingface_hub holds while it downloads the file."""
        return self.locks / f"{file.digest}.lock"

    def is_linked(self, file: HubFile) -> bool:
        """Return whether the file is in the snapshot."""
        return _size(self._snapshot / file.name) is not None

    def is_complete(self, file: HubFile) -> bool:
        """Return whether all bytes of the file are here."""
        return file.size in (_size(self._snapshot / file.name), _size(self.blob(file)))

    def bytes_here(self, file: HubFile) -> int:
        """Return the bytes of the file that need no download."""
        if self.is_complete(file):
            return file.size
        part = _size(self.part(file)) or 0
        return part if part <= file.size else 0


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk of a folder, which need not exist yet."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def refuse_full_disk(cache: Path, missing: int) -> int:
    """Return the free bytes of the cache's disk, if `missing` bytes fit.

    Raises:
        EngineError: they do not (`disk-full`).
    """
    free = free_bytes(cache)
    if missing and free < missing + RESERVE_BYTES:
        raise EngineError(
            "disk-full",
            f"The download needs {missing / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free in {cache}.",
            DISK_FULL_HINT,
        )
    return free


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
