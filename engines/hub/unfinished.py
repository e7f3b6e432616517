"""Downloads into the hub cache that were interrupted: list them, and remove what they left.

Standard library and huggingface_hub only, Python 3.10 and newer: workers in other environments use it too.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engines.hub.cache_state import PART_SUFFIX
from engines.plan.checkpoint.hub_cache import hub_cache_folder, looks_like_hub_id

LOCK_SECONDS = 0.1


@dataclass(frozen=True)
class UnfinishedDownload:
    """A download that can continue, or runs now in another process."""

    hub_id: str
    part_bytes: int
    """Bytes of the files that are not complete."""


def unfinished_downloads(cache: Path | None = None) -> list[UnfinishedDownload]:
    """Return the downloads of the hub cache that are not complete, by hub id."""
    parts: dict[str, int] = {}
    with suppress(OSError):
        for part in (cache or hub_cache_folder()).glob(f"models--*/blobs/*{PART_SUFFIX}"):
            hub_id = part.parent.parent.name.removeprefix("models--").replace("--", "/")
            if looks_like_hub_id(hub_id):
                with suppress(OSError):
                    parts[hub_id] = parts.get(hub_id, 0) + part.stat().st_size
    return [UnfinishedDownload(hub_id, size) for hub_id, size in sorted(parts.items())]


def remove_parts(hub_id: str, cache: Path | None = None, keep: Collection[str] = ()) -> int:
    """Remove the parts of a model's files; those that another process is downloading stay.

    Args:
        keep: digests of files whose parts stay.

    Returns:
        The bytes that are free again.
    """
    from filelock import Timeout
    from huggingface_hub.utils import WeakFileLock

    cache = cache or hub_cache_folder()
    name = "models--" + hub_id.replace("/", "--")
    freed = 0
    for part in (cache / name / "blobs").glob(f"*{PART_SUFFIX}") if looks_like_hub_id(hub_id) else ():
        digest = part.name.removesuffix(PART_SUFFIX)
        if digest in keep:
            continue
        lock = cache / ".locks" / name / f"{digest}.lock"
        with suppress(OSError, Timeout):
            lock.parent.mkdir(parents=True, exist_ok=True)
            with WeakFileLock(lock, timeout=LOCK_SECONDS):
                size = part.stat().st_size
                part.unlink()
                freed += size
    return freed
