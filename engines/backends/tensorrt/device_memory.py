"""Memory of the GPU and the stream that an engine runs in, both of PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from engines.errors import EngineError


class DeviceMemory:
    """Buffers on one GPU, and a stream; TensorRT synchronises the default stream at every step."""

    def __init__(self, device: str) -> None:
        """Select the GPU.

        Raises:
            EngineError: `no-device`: PyTorch cannot use it.
        """
        if not torch.cuda.is_available():
            raise EngineError(
                "no-device",
                "TensorRT's memory comes from PyTorch, which is installed without CUDA here.",
                "Install a CUDA build of PyTorch: https://pytorch.org/get-started.",
            )
        torch.cuda.set_device(device)
        self.device = torch.device(device)
        self._stream = torch.cuda.Stream(self.device)

    @property
    def handle(self) -> int:
        """The stream, as TensorRT takes it."""
        return int(self._stream.cuda_stream)

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Any:
        """Return a buffer that is filled with zeros."""
        return torch.zeros(tuple(shape), dtype=dtype, device=self.device)

    def write(self, buffer: Any, values: Sequence[int]) -> None:
        """Copy numbers to the start of a buffer, in the order of the stream."""
        with torch.cuda.stream(self._stream):
            buffer.view(-1)[: len(values)].copy_(torch.tensor(values, dtype=buffer.dtype))

    def synchronise(self) -> None:
        """Wait for what was started in the stream."""
        self._stream.synchronize()
