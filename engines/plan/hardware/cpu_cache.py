"""The size of the CPU's last-level cache. A model that fits into it is not bound by memory bandwidth."""

from __future__ import annotations

from functools import cache
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
"""https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-devices-system-cpu"""
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@cache
def last_level_cache() -> int | None:
    """Return what `read_last_level_cache` finds on this machine: it reads three files for each core."""
    return read_last_level_cache(CPUS)


def read_last_level_cache(cpus: Path) -> int | None:
    """Return the bytes of the largest cache level, of all its instances; None if the system has no list."""
    folders = cpus.glob("cpu[0-9]*/cache/index[0-9]*")
    # A set: each core lists the caches that it shares.
    instances = {found for folder in folders if (found := _instance(folder))}
    last = max((level for level, _, _ in instances), default=0)
    return sum(size for level, _, size in instances if level == last) or None


def _instance(folder: Path) -> tuple[int, str, int] | None:
    """Return the level of a cache, the cores that share it, and its bytes; None if that is not readable."""
    try:
        level, shared, size = (
            (folder / name).read_text("ascii").strip() for name in ("level", "shared_cpu_list", "size")
        )
        return int(level), shared, int(size[:-1]) * UNITS[size[-1]]
    except (OSError, ValueError, KeyError, IndexError):
        return None
