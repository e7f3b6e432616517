"""Nodes that hold the weights of products, in the precision of an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset15 as op

from engines.backends.openvino.nodes import Node, integers
from engines.plan.decoder.decoder import Linear
from engines.weights.int4_recipe import PLAIN, Int4Recipe
from engines.weights.quantise import Int4, int4_group, packed_nibbles, quantise_int4, quantise_int8
from engines.weights.reader import WeightReader

WIDENED = "/widened"
"""Suffix of the names of nodes that convert 16-bit weights to fp32; see `saving.mark_widened`."""


@dataclass
class WeightNodes:
    """Makes the nodes; their arrays stay alive with it, as the graph shares their memory."""

    reader: WeightReader
    precision: str
    """`fp32`, `bf16`, `int8` or `int4`."""
    recipe: Int4Recipe = PLAIN
    shared: list[Any] = field(default_factory=list)

    def weight(self, linear: Linear, last: bool = False) -> Node:
        """Return a weight as [outputs, inputs].

        Args:
            last: Whether it is the embedding or the LM head, which are never quantised below int8.
        """
        group = int4_group(linear.inputs)
        eight = last or linear.weight in self.recipe.int8
        if self.precision == "int4" and group is not None and not eight:
            return self._int4(linear, group)
        if self.precision in ("int8", "int4"):
            return self._int8(linear)
        return self._floats(linear)

    def _floats(self, linear: Linear) -> Node:
        stored = self.reader.stored(linear, bfloat16=self.precision == "bf16")
        self.shared.append(stored)
        if stored.dtype == np.float32:
            return op.constant(stored, shared_memory=True)
        if stored.dtype == np.float16:
            constant = op.constant(stored, shared_memory=True)
        else:
            # numpy has no bfloat16: wrap the 16-bit integers in a bf16 tensor that shares their memory.
            constant = ov.op.Constant(ov.Tensor(stored.view(np.int8), ov.Shape(stored.shape), ov.Type.bf16))
        widened = op.convert(constant, "f32")
        widened.set_friendly_name(linear.weight + WIDENED)
        return widened

    def _int8(self, linear: Linear) -> Node:
        weight = quantise_int8(self.reader, linear)
        self.shared.append(weight.values)
        values = op.convert(op.constant(weight.values, shared_memory=True), "f16")
        return op.convert(op.multiply(values, op.constant(weight.scales)), "f32")

    def _int4(self, linear: Linear, group: int) -> Node:
        power, zero_points = self.recipe.power.get(linear.weight), self.recipe.zero_points
        weight = quantise_int4(self.reader, linear, group, power, zero_points=zero_points)
        values = self._four_bits(weight)
        if weight.zeros is not None:
            values = op.subtract(values, self._zeros(weight.zeros))
        scaled = op.multiply(values, op.constant(weight.scales))
        flat = op.reshape(scaled, integers(linear.outputs, linear.inputs), False)
        return op.convert(flat, "f32")

    def _four_bits(self, weight: Int4) -> Node:
        self.shared.append(weight.packed)
        kind = ov.Type.i4 if weight.zeros is None else ov.Type.u4
        return op.convert(ov.op.Constant(ov.Tensor(weight.packed, ov.Shape(weight.shape), kind)), "f16")

    def _zeros(self, zeros: npt.NDArray[np.uint8]) -> Node:
        flat = zeros.reshape(-1)
        packed = packed_nibbles(np.append(flat, np.zeros(flat.size % 2, np.uint8)))
        self.shared.append(packed)
        return op.convert(ov.op.Constant(ov.Tensor(packed, ov.Shape(zeros.shape), ov.Type.u4)), "f16")
