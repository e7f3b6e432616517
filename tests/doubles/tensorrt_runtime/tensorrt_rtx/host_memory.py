"""Host memory in place of a GPU's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class HostMemory:
    """As the backend's `DeviceMemory`, for the double, which computes on the CPU."""

    handle = 1

    def __init__(self, device: str) -> None:
        assert device.startswith("cuda:")
        self.device = torch.device("cpu")

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Any:
        return torch.zeros(tuple(shape), dtype=dtype)

    def write(self, buffer: Any, values: Sequence[int]) -> None:
        buffer.view(-1)[: len(values)].copy_(torch.tensor(values, dtype=buffer.dtype))

    def synchronise(self) -> None:
        """The double has computed the step before it returned."""


def use_host_memory() -> None:
    """Let the backend take its buffers from here."""
    from engines.backends.tensorrt import device_memory

    device_memory.DeviceMemory = HostMemory  # type: ignore[misc, assignment]
