"""The last-level cache from files like those of Linux."""

from __future__ import annotations

from pathlib import Path

from engines.plan.hardware.cpu_cache import read_last_level_cache


def add(cpus: Path, cpu: int, index: int, level: int, size: str, shared: str) -> None:
    """Write the files of one cache as one core lists it."""
    folder = cpus / f"cpu{cpu}" / "cache" / f"index{index}"
    folder.mkdir(parents=True)
    for name, text in (("level", str(level)), ("size", size), ("shared_cpu_list", shared)):
        (folder / name).write_text(f"{text}\n")


def test_all_instances_of_the_largest_level_count_once(tmp_path: Path) -> None:
    for cpu in range(4):
        add(tmp_path, cpu, 2, 2, "1024K", str(cpu))
        add(tmp_path, cpu, 3, 3, "32M", "0-1" if cpu < 2 else "2-3")
    assert read_last_level_cache(tmp_path) == 2 * (32 << 20)


def test_a_damaged_file_is_skipped(tmp_path: Path) -> None:
    add(tmp_path, 0, 3, 3, "", "0")
    assert read_last_level_cache(tmp_path) is None
    add(tmp_path, 1, 3, 3, "8192K", "1")
    assert read_last_level_cache(tmp_path) == 8 << 20


def test_a_system_without_the_list(tmp_path: Path) -> None:
    assert read_last_level_cache(tmp_path / "none") is None
