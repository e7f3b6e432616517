"""What a comparison keeps: damaged files count as missing, old references are deleted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.compare import cache as cache_module
from engines.compare.cache import ComparisonCache, digest
from engines.worker.protocol import Scored
from tests.engines.compare.sample import COMPARISON

SCORED = Scored(1, (-1.0, -2.0), ((1,), (2,)), ((-0.5,), (-0.25,)), (0, 1))


def kept(cache: ComparisonCache, name: str, age: float = 0.0) -> Path:
    """Keep a reference of 1,000 bytes that was used `age` seconds ago."""
    file = cache.rows_file(name, [1, 2, 3])
    file.write_bytes(bytes(1000))
    os.utime(file, (1e9 - age,) * 2)
    cache.keep_reference(file, SCORED)
    return file


def test_a_reference_needs_both_of_its_files(tmp_path: Path) -> None:
    cache = ComparisonCache(tmp_path)
    file = kept(cache, "engine")
    assert cache.reference(file) == SCORED
    file.unlink()
    assert cache.reference(file) is None
    kept(cache, "engine").with_suffix(".json").write_text("{")
    assert cache.reference(file) is None


def test_the_references_that_were_not_used_for_longest_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ComparisonCache(tmp_path)
    old, newer = kept(cache, "old", age=200), kept(cache, "newer", age=100)
    monkeypatch.setattr(cache_module, "LARGEST", 2500)
    newest = kept(cache, "newest")
    assert not old.exists()
    assert not old.with_suffix(".json").exists()
    assert cache.reference(newer) == cache.reference(newest) == SCORED


def test_the_oldest_results_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, row = ComparisonCache(tmp_path), COMPARISON.rows[0]
    for age, key in ((300, "old"), (200, "used"), (100, "newer")):
        cache.keep_row(key, row)
        os.utime(tmp_path / "rows" / f"{key}.json", (1e9 - age,) * 2)
    assert cache.row("used") == row  # and so it is the newest one
    size = (tmp_path / "rows" / "old.json").stat().st_size
    monkeypatch.setattr(cache_module, "RESULTS", 3 * size + size // 2)
    cache.keep_row("newest", row)
    assert cache.row("old") is None
    assert cache.row("used") == cache.row("newer") == cache.row("newest") == row


def test_rows_are_kept_and_damaged_ones_are_missing(tmp_path: Path) -> None:
    cache, row = ComparisonCache(tmp_path), COMPARISON.rows[0]
    assert cache.row("key") is None
    cache.keep_row("key", row)
    assert cache.row("key") == row
    (tmp_path / "rows" / "key.json").write_bytes(b"\x00")
    assert cache.row("key") is None


def test_digests_tell_parts_apart() -> None:
    assert digest("a", [1, 2]) != digest("a", [1], 2)
    assert len(digest()) == 20
