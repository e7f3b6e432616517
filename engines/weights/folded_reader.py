"""Weights scaled against their inputs: the model computes the same, but rounding loses less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engines.plan.decoder.decoder import Linear, Norm
from engines.weights.reader import Floats, WeightReader


@dataclass
class FoldedReader(WeightReader):
    """Reads weights multiplied by a scale for each input, and divides by it what makes that input."""

    columns: dict[str, Floats] = field(default_factory=dict)
    """Factors of the inputs of linear layers, [inputs], by the name of the weight."""
    outputs: dict[str, Floats] = field(default_factory=dict)
    """Divisors of the outputs of linear layers, [outputs], by the name of the weight."""
    vectors: dict[str, Floats] = field(default_factory=dict)
    """Divisors of norms and biases, by name."""
    offsets: dict[str, float] = field(default_factory=dict)
    """What the graph adds to the weights of norms before it uses them."""

    def fold_norm(self, norm: Norm, linears: Sequence[Linear], scales: Floats) -> None:
        """Multiply the inputs of all layers that read a norm by scales, and divide the norm by them."""
        self.vectors |= {name: scales for name in (norm.weight, norm.bias) if name is not None}
        self.columns |= {linear.weight: scales for linear in linears}
        if norm.weight is not None:
            self.offsets[norm.weight] = norm.offset

    def fold_outputs(self, before: Linear, after: Linear, scales: Floats) -> None:
        """Multiply the inputs of a layer by scales, and divide the last outputs of the one before."""
        divisors = np.ones(before.outputs, np.float32)
        divisors[-len(scales) :] = scales
        self.outputs[before.weight] = divisors
        if before.bias is not None:
            self.vectors[before.bias] = divisors
        self.columns[after.weight] = scales

    def tensor(self, name: str) -> Floats:
        """See `WeightReader.tensor`."""
        values = super().tensor(name)
        if name not in self.vectors:
            return values
        offset = np.float32(self.offsets.get(name, 0.0))
        folded: Floats = (values + offset) / self.vectors[name] - offset
        return folded

    def stored(self, linear: Linear, bfloat16: bool) -> npt.NDArray[np.generic]:
        """See `WeightReader.stored`; scaled weights are F32."""
        scaled = linear.weight in self.columns or linear.weight in self.outputs
        return self.rows(linear) if scaled else super().stored(linear, bfloat16)

    def rows(self, linear: Linear, begin: int = 0, end: int | None = None) -> Floats:
        """See `WeightReader.rows`."""
        values = super().rows(linear, begin, end)
        if linear.weight in self.columns:
            values = values * self.columns[linear.weight]
        if linear.weight in self.outputs:
            values = values / self.outputs[linear.weight][begin:end, None]
        return values
