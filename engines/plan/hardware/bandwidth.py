"""Speed of a device and its memory, bytes per second: `python -m engines.plan.hardware.bandwidth cuda:0`.

Decoding at batch 1 reads every weight once a token, so that on a CPU reading is what counts, not copying. A
GPU is measured by a copy, as its makers and GPU benchmarks do: both ways share one bus. It runs in a process
of its own: a thread of the app would hold up its screen, and the memory would stay with it.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from engines.plan.hardware.hardware import usable_cores

MOST_BYTES = 1 << 30
"""Well over any cache: 105 MB of them were seen on one server CPU."""
MOST_COPIED = 1 << 32
PASSES = 8
CHUNK = 1 << 20
"""Numbers in one call: 4 MB, so that the calls' own cost does not count."""


def buffer_bytes() -> int:
    """An eighth of what is free, so that measuring never is what fills the memory."""
    import psutil

    return int(min(MOST_BYTES, psutil.virtual_memory().available // 8))


def read_bandwidth(size: int, threads: int, passes: int = PASSES) -> float:
    """Bytes per second that `threads` threads read together; the best of some passes.

    Every thread sums the squares of its own part: one load and one multiply-add a number, far below what
    a core can compute, so that the memory is what limits it.
    """
    import numpy

    part = max(CHUNK, size // 4 // threads)
    # Ones and not zeros: untouched zeros are all one and the same page.
    blocks = [numpy.ones(part, dtype=numpy.float32) for _ in range(threads)]

    def read(block: numpy.ndarray) -> None:
        for start in range(0, part, CHUNK):
            piece = block[start : start + CHUNK]
            numpy.dot(piece, piece)

    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(passes):
            started = time.perf_counter()
            list(pool.map(read, blocks))
            best = max(best, 4 * part * threads / (time.perf_counter() - started))
    return best


def copy_bandwidth(device: str) -> float:
    """Bytes per second of a large copy within a GPU's memory, read and written: the median of some."""
    import torch

    torch.cuda.set_device(device)  # the events below are its own
    free, _ = torch.cuda.mem_get_info()
    size = min(MOST_COPIED, int(free) // 8)
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds: list[float] = []
    for _ in range(2 + PASSES):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        target.copy_(source)
        end.record()
        torch.cuda.synchronize()
        seconds.append(begin.elapsed_time(end) / 1000)
    return 2 * size / median(seconds[2:])


def main(device: str = "cpu") -> None:
    """Print one number."""
    import os

    if device.startswith("cuda"):
        print(round(copy_bandwidth(device)))
        return
    # The threads are ours: the library's own would share one call among them.
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    print(round(read_bandwidth(buffer_bytes(), usable_cores())))


if __name__ == "__main__":
    main(*sys.argv[1:2])
