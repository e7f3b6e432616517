"""Tie the life of a process to that of its parent. Standard library only, Python 3.10 and newer."""

from __future__ import annotations

import ctypes
import os
import signal
import sys


def die_with_parent(parent: int) -> None:
    """Have the kernel send SIGKILL when the parent dies. Linux only; elsewhere a closed pipe ends it.

    For the kernel the parent is the thread that started this process: the app starts workers from its main
    thread, and a worker its tokenizer's process.
    """
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before prctl was called
        sys.exit(f"the app (process {parent}) is not the parent of this worker")
