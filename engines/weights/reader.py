"""Read weights from memory-mapped safetensors, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engines.errors import EngineError
from engines.plan.checkpoint.tensors import TensorEntry
from engines.plan.decoder.decoder import Linear

Floats: TypeAlias = npt.NDArray[np.float32]

CHUNK_ELEMENTS = 1 << 23
"""Values per chunk: 32 MB of fp32, independent of the size of the tensor."""


@dataclass
class WeightReader:
    """Reads tensors of a checkpoint as fp32 arrays. F32 tensors are views of the file, not copies."""

    entries: Mapping[str, TensorEntry]
    on_read: Callable[[int], None] = lambda elements: None
    """Called with the number of values just read, for progress."""
    _maps: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def tensor(self, name: str) -> Floats:
        """Return a complete tensor in its stored shape.

        Raises:
            EngineError: `broken-weights`: a value is not finite.
        """
        return self._floats(name, self._stored(name))

    def stored(self, linear: Linear, bfloat16: bool) -> npt.NDArray[np.generic]:
        """Return the weight of a linear layer, [outputs, inputs]: F32, F16, or bfloat16 as uint16.

        Args:
            bfloat16: Round to bfloat16. Otherwise the type of the file is kept, and the array is a view of
            the
                file unless it has to be transposed.
        """
        if bfloat16 and self.entries[linear.weight].dtype != "BF16":
            bits = np.empty((linear.outputs, linear.inputs), np.uint16)
            for begin, rows in self.chunks(linear):
                bits[begin : begin + len(rows)] = to_bfloat16(rows)
            return bits
        for _ in self.chunks(linear):  # only to check the values and report progress
            pass
        stored = self._stored(linear.weight)
        return np.ascontiguousarray(stored.T) if linear.transposed else stored

    def rows(self, linear: Linear, begin: int = 0, end: int | None = None) -> Floats:
        """Return rows `begin` to `end` of the weight of a linear layer, fp32 [outputs, inputs]."""
        stored = self._stored(linear.weight)
        part = stored[:, begin:end].T if linear.transposed else stored[begin:end]
        return np.ascontiguousarray(self._floats(linear.weight, part))

    def chunks(self, linear: Linear) -> Iterator[tuple[int, Floats]]:
        """Yield the weight as (index of the first row, rows), about CHUNK_ELEMENTS values at a time."""
        step = max(1, CHUNK_ELEMENTS // linear.inputs)
        for begin in range(0, linear.outputs, step):
            yield begin, self.rows(linear, begin, min(begin + step, linear.outputs))

    def _stored(self, name: str) -> npt.NDArray[np.generic]:
        """Return the tensor with the type of the file; bfloat16 as uint16."""
        entry = self.entries[name]
        key = str(entry.file)
        if key not in self._maps:
            # Copy on write, because OpenVINO shares only writeable memory. Nothing is written.
            self._maps[key] = np.memmap(entry.file, dtype=np.uint8, mode="c")
        raw = self._maps[key][entry.offset : entry.offset + entry.size]
        width = np.dtype({"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[entry.dtype])
        # Tensors in the file need not be aligned, but a view must be.
        aligned = raw if entry.offset % width.itemsize == 0 else raw.copy()
        return aligned.view(width).reshape(entry.shape)

    def _floats(self, name: str, stored: npt.NDArray[np.generic]) -> Floats:
        if stored.dtype == np.uint16:
            values = (stored.astype(np.uint32) << 16).view(np.float32)
        else:
            values = stored.astype(np.float32, copy=False)
        # The sum is finite if all weights are: this takes one pass and no temporary array.
        if not np.isfinite(np.sum(values, dtype=np.float64)):
            raise EngineError(
                "broken-weights", f"{name} contains NaN or infinity.", "Download the checkpoint again."
            )
        self.on_read(values.size)
        return values


def to_bfloat16(values: Floats) -> npt.NDArray[np.uint16]:
    """Return the upper 16 bits of each fp32 value, rounded to nearest, ties to even."""
    bits = values.view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
