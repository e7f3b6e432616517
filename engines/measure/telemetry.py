"""Sample CPU and memory of processes and of the machine. Never raises: unavailable figures are None."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field

import psutil

from engines.measure.other_programs import cpu_seconds

TREE_SECONDS = 2.0
"""How long a list of children is reused: finding them reads /proc of every process on the machine."""


@dataclass(frozen=True)
class ProcessSample:
    """CPU and memory of a process and its children."""

    pid: int
    resident_bytes: int
    """Resident memory (RSS) of the process itself, and the private part (USS) of its children: a worker's
    tokenizer is forked from it and shares nearly all pages."""
    cpu_percent: float | None
    """Since the last sample, 100 for one fully used core; None in the first sample."""
    processes: int
    """Number of processes, including the process itself."""


@dataclass(frozen=True)
class MachineSample:
    """CPU and memory of the whole machine."""

    cpu_percent: float | None
    """Since the last sample, 100 for all cores; None in the first sample."""
    memory_total: int
    memory_available: int
    """Bytes that a process could allocate without swapping."""

    @property
    def memory_used(self) -> int:
        """Bytes that are not available to other processes."""
        return self.memory_total - self.memory_available


@dataclass
class _Tree:
    """A watched process with its children and the values of the last sample."""

    root: psutil.Process
    members: list[psutil.Process]
    listed: float
    cpu_seconds: dict[int, float] = field(default_factory=dict)
    sampled: float | None = None


class Telemetry:
    """Samples processes and the machine. Use it from one thread at a time."""

    def __init__(self) -> None:
        self._trees: dict[int, _Tree] = {}
        self._machine_seen = False

    def sample_process(self, pid: int) -> ProcessSample | None:
        """Return a sample of the process and its children; None after it has ended or without permission."""
        try:
            tree = self._tree(pid)
            return self._sample_tree(pid, tree)
        except (psutil.Error, OSError, ValueError):
            self._trees.pop(pid, None)
            return None

    def members(self, pid: int) -> frozenset[int]:
        """Return the process ids of the tree at the last sample, for `GpuSample.memory_of`."""
        tree = self._trees.get(pid)
        return frozenset(one.pid for one in tree.members) if tree else frozenset({pid})

    def cpu_seconds(self, pid: int) -> float:
        """Return the CPU seconds of a process and its children, those that have ended included."""
        with contextlib.suppress(psutil.Error):
            return cpu_seconds(self._tree(pid).members)
        return 0.0

    def sample_machine(self) -> MachineSample:
        """Return a sample of the machine."""
        memory = psutil.virtual_memory()
        percent = psutil.cpu_percent(None)
        first, self._machine_seen = not self._machine_seen, True
        return MachineSample(None if first else percent, int(memory.total), int(memory.available))

    def _tree(self, pid: int) -> _Tree:
        now = time.monotonic()
        tree = self._trees.get(pid)
        if tree is None or not tree.root.is_running():
            root = psutil.Process(pid)
            tree = self._trees[pid] = _Tree(root, [root], listed=-TREE_SECONDS)
        if now - tree.listed >= TREE_SECONDS:
            tree.members = [tree.root, *tree.root.children(recursive=True)]
            tree.listed = now
        return tree

    def _sample_tree(self, pid: int, tree: _Tree) -> ProcessSample:
        now, rss, spent = time.monotonic(), 0, {}
        for member in tree.members:
            try:
                with member.oneshot():
                    rss += _resident(member, tree.root)
                    times = member.cpu_times()
                spent[member.pid] = times.user + times.system
            except psutil.Error:
                if member is tree.root:
                    raise
        if tree.root.status() == psutil.STATUS_ZOMBIE:
            raise psutil.NoSuchProcess(pid)
        percent = _percent(tree, spent, now)
        tree.cpu_seconds, tree.sampled = spent, now
        return ProcessSample(pid, rss, percent, len(spent))


def _resident(member: psutil.Process, root: psutil.Process) -> int:
    if member is not root:
        with contextlib.suppress(psutil.AccessDenied):
            return int(member.memory_full_info().uss)
    return int(member.memory_info().rss)


def _percent(tree: _Tree, spent: dict[int, float], now: float) -> float | None:
    if tree.sampled is None or now <= tree.sampled:
        return None
    # The CPU time of a new child was spent over an unknown interval and would show as a spike.
    used = sum(max(0.0, seconds - tree.cpu_seconds.get(pid, seconds)) for pid, seconds in spent.items())
    return used / (now - tree.sampled) * 100
