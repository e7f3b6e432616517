"""Measure the memory bandwidth of a device: `python -m engines.plan.hardware.bandwidth cuda:0`.

Decoding at batch 1 reads every weight once per token, so a CPU is measured by reading. A GPU is measured by
a copy, as vendors and GPU benchmarks do: reads and writes share one bus. It runs in a separate process, so
that it does not block the app and its buffers are returned to the system.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from engines.plan.hardware.hardware import usable_cores

MAX_READ_BYTES = 1 << 30
"""Far larger than any CPU cache (105 MB on one server CPU)."""
MAX_COPY_BYTES = 1 << 32
PASSES = 8
CHUNK = 1 << 20
"""Floats per call: 4 MB, so that the call overhead is negligible."""


def buffer_bytes() -> int:
    """Return the buffer size: an eighth of the free memory, so that measuring does not exhaust it."""
    import psutil

    return int(min(MAX_READ_BYTES, psutil.virtual_memory().available // 8))


def read_bandwidth(size: int, threads: int, passes: int = PASSES) -> float:
    """Return the bytes per second that `threads` threads read together, the best of `passes`.

    Every thread sums the squares of its part: one load and one multiply-add per float, far below what a core
    can compute, so the memory is the limit.
    """
    import numpy

    part = max(CHUNK, size // 4 // threads)
    # Ones, because the kernel maps untouched zeros to one shared page.
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
    """Return the bytes per second, read plus written, of a copy in GPU memory: the median of PASSES."""
    import torch

    torch.cuda.set_device(device)  # the events below belong to the current device
    free, _ = torch.cuda.mem_get_info()
    size = min(MAX_COPY_BYTES, int(free) // 8)
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
    """Print the bandwidth of `device` in bytes per second."""
    import os

    if device.startswith("cuda"):
        print(round(copy_bandwidth(device)))
        return
    # read_bandwidth starts its own threads: the BLAS library must not split a call over more.
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    print(round(read_bandwidth(buffer_bytes(), usable_cores())))


if __name__ == "__main__":
    main(*sys.argv[1:2])
