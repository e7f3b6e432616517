"""One of the processes that a model is divided among. Imports no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rank:
    """A process, and how many there are."""

    index: int = 0
    count: int = 1

    @property
    def is_split(self) -> bool:
        """Whether there is more than one."""
        return self.count > 1

    def part(self, tensor: Any, dimension: int) -> Any:
        """Return this rank's part of a tensor, with memory of its own."""
        return tensor.chunk(self.count, dimension)[self.index].clone()


WHOLE = Rank()
"""The only process of a model that is not divided."""
