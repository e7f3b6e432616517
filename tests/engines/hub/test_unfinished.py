"""Interrupted downloads are listed, and removed unless another process works on them."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub.utils import WeakFileLock

from engines.demo import CHECKPOINT
from engines.hub.cache_state import PART_SUFFIX
from engines.hub.unfinished import UnfinishedDownload, remove_parts, unfinished_downloads
from engines.worker.fetch import fetch
from engines.worker.report import StageReport
from tests.doubles.hub import HubDouble


def make_part(cache: Path, name: str, digest: str, size: int) -> Path:
    """Leave a part of a file, and a complete file, in the cache."""
    blobs = cache / name / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / "complete").write_bytes(bytes(100))
    part = blobs / f"{digest}{PART_SUFFIX}"
    part.write_bytes(bytes(size))
    return part


def test_unfinished_downloads(tmp_path: Path) -> None:
    for name, size in (("models--org--b", 5), ("models--org--a", 7), ("models--..--x", 1)):
        make_part(tmp_path, name, "d" * 64, size)
    assert unfinished_downloads(tmp_path) == [UnfinishedDownload("org/a", 7), UnfinishedDownload("org/b", 5)]
    assert unfinished_downloads(tmp_path / "nowhere") == []


def test_parts_are_removed(tmp_path: Path) -> None:
    kept = make_part(tmp_path, "models--org--a", "a" * 64, 3)
    gone = make_part(tmp_path, "models--org--a", "b" * 64, 5)
    other = make_part(tmp_path, "models--org--b", "b" * 64, 7)
    assert remove_parts("org/a", tmp_path, keep=["a" * 64]) == 5
    assert (kept.exists(), gone.exists(), other.exists()) == (True, False, True)
    assert (kept.parent / "complete").exists()
    assert remove_parts("../org", tmp_path) == 0


def test_a_part_that_another_process_writes_stays(tmp_path: Path) -> None:
    part = make_part(tmp_path, "models--org--a", "a" * 64, 3)
    lock = tmp_path / ".locks" / "models--org--a" / f"{'a' * 64}.lock"
    lock.parent.mkdir(parents=True)
    with WeakFileLock(lock):
        assert remove_parts("org/a", tmp_path) == 0
    assert part.exists()


def test_a_download_removes_the_parts_of_older_commits(hub: HubDouble, cache: Path) -> None:
    hub.add("org/demo", CHECKPOINT)
    part = make_part(cache, "models--org--demo", "a" * 64, 3)
    fetch("org/demo", None, StageReport(lambda _: None, 1, ("fetch",)), "pytorch")
    assert not part.exists()
