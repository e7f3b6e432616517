"""The other ranks of a split engine: processes that run the same steps at the same time as the worker.

The worker is rank 0. It writes each step as a JSON line to the standard input of the other ranks, then runs
it too; they meet in the exchanges of the step. A rank ends when its input ends.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist

from engines.backends.compiled.split.other_rank import OtherRank
from engines.backends.compiled.split.rank import Rank
from engines.build.spec import EngineSpec

CLOSE_SECONDS = 5.0
WATCH_SECONDS = 0.2


class Ranks:
    """Starts the processes of the other ranks, joins their group, and sends them steps."""

    def __init__(self, spec: EngineSpec, checkpoint: Path, directory: Path | None) -> None:
        """Start the processes; they import PyTorch meanwhile.

        Args:
            directory: Folder with a built engine; None where it is being built.
        """
        self._meeting = TemporaryDirectory(prefix="trt-playground-ranks-")
        self._file = str(Path(self._meeting.name) / "group")
        self._closing = False
        self._joined = False
        self._others = [
            OtherRank(
                {
                    "spec": spec.to_json(),
                    "checkpoint": str(checkpoint),
                    "directory": str(directory) if directory else None,
                    "index": index,
                    "meeting": self._file,
                }
            )
            for index in range(1, spec.gpus)
        ]
        threading.Thread(target=self._watch, daemon=True, name="ranks").start()

    def join(self, rank: Rank, device: str) -> None:
        """Wait until all ranks are in the group.

        Args:
            rank: that of this process.
        """
        join_group(rank, device, self._file)
        self._joined = True

    def send(self, step: str, **arguments: Any) -> None:
        """Have the other ranks run a step of `MirroredRunner`.

        Raises:
            EngineError: `rank-ended`.
        """
        for other in self._others:
            other.send({"step": step} | arguments)

    def close(self) -> None:
        """End the processes and the group. CUDA graphs must have been released: NCCL waits for them."""
        self._closing = True
        for other in self._others:
            other.close_input()
        deadline = time.monotonic() + CLOSE_SECONDS
        for other in self._others:
            other.end(max(0.0, deadline - time.monotonic()))
        if self._joined:
            leave_group()
        self._meeting.cleanup()

    def _watch(self) -> None:
        """End the worker when another rank ends: in an exchange it would wait for it for ever."""
        while not self._closing:
            for other in self._others:
                if not other.alive and not self._closing:
                    print(other.ended.message, file=sys.stderr, flush=True)
                    os._exit(1)
            time.sleep(WATCH_SECONDS)


def join_group(rank: Rank, device: str, file: str) -> None:
    """Join the group of all ranks, which meet at a file."""
    on_gpu = device.startswith("cuda")
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=f"file://{file}",
        rank=rank.index,
        world_size=rank.count,
        device_id=torch.device(device) if on_gpu else None,
    )


def leave_group() -> None:
    """End the group without waiting for the other ranks, which have ended."""
    if dist.get_backend() == "nccl":
        assert dist.group.WORLD
        dist.group.WORLD.abort()
    dist.destroy_process_group()
