"""Calibrate int4 weights with texts: what the inputs of each linear layer are like on them.

The graph runs one decoder layer at a time, so that the memory is that of one layer in fp32 and of the hidden
states, whatever the size of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset15 as op

from engines.backends.openvino.graph import Graph
from engines.backends.openvino.nodes import Node
from engines.backends.openvino.weight_nodes import WeightNodes
from engines.plan.checkpoint.tensors import TensorEntry
from engines.plan.decoder.decoder import Decoder, Layer, Linear
from engines.weights.folded_reader import FoldedReader
from engines.weights.int4_recipe import (
    Int4Recipe,
    floored,
    fold_scales,
    folded_power,
    int8_gains,
    int8_weights,
)
from engines.weights.reader import Floats, WeightReader

CLOSE = 1e-4
"""Folding is exact if no hidden state after the first layer differs by more than this part of the largest."""


def calibrate(
    decoder: Decoder,
    entries: Mapping[str, TensorEntry],
    samples: Sequence[Sequence[int]],
    on_layer: Callable[[int], None] = lambda done: None,
    *,
    zero_points: bool = False,
) -> tuple[FoldedReader, Int4Recipe]:
    """Return the weights as they are to be quantised, and how.

    Args:
        samples: token ids of texts, all of the same length.
        on_layer: called with the number of decoder layers that have run.
        zero_points: whether groups are asymmetric.
    """
    reader, folded = WeightReader(entries), FoldedReader(entries)
    power, gains = dict[str, Floats](), dict[Linear, float]()
    hidden = _Embedding(decoder, WeightNodes(reader, "int8")).run(samples)
    folds = _folds_exactly(decoder, reader, hidden)
    for index, layer in enumerate(decoder.layers):
        hidden, found = _OneLayer(decoder, WeightNodes(reader, "fp32")).run(layer, index, hidden)
        found = {name: floored(values) for name, values in found.items()}
        if folds:
            fold_scales(folded, layer, found, gated=decoder.gated)
        power |= (found := folded_power(folded, found))
        gains |= int8_gains(folded, layer, Int4Recipe(found, zero_points=zero_points))
        on_layer(index + 1)
    return folded, Int4Recipe(power, int8_weights(decoder, gains), zero_points)


def _folds_exactly(decoder: Decoder, reader: WeightReader, hidden: Floats) -> bool:
    """Return whether the first layer computes the same with folded scales.

    A family whose layers compute more than folding covers is quantised without.
    """
    layer, few = decoder.layers[0], hidden[:1, :16]
    exact, power = _OneLayer(decoder, WeightNodes(reader, "fp32")).run(layer, 0, few)
    folded = FoldedReader(reader.entries)
    power = {name: floored(values) for name, values in power.items()}
    fold_scales(folded, layer, power, gated=decoder.gated)
    same, _ = _OneLayer(decoder, WeightNodes(folded, "fp32")).run(layer, 0, few)
    return bool(np.abs(same - exact).max() < CLOSE * np.abs(exact).max())


class _Embedding(Graph):
    """The graph up to the first layer."""

    first: Node = None

    def run(self, samples: Sequence[Sequence[int]]) -> Floats:
        """Return the hidden states, [samples, tokens, hidden]."""
        self.model()
        ids = np.array(samples, np.int64)
        (hidden,) = _inferred(self, [self.first], {self.ids: ids})
        return hidden

    def _layer(self, hidden: Node, layer: Layer, index: int) -> Node:
        if index == 0:
            self.first = hidden
        return hidden


class _OneLayer(Graph):
    """The graph of one layer, with the mean squares of what its linear layers read."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.read: dict[int, tuple[Node, list[str]]] = {}
        """Inputs of linear layers by their identity, each with the names of the weights."""

    def run(self, layer: Layer, index: int, hidden: Floats) -> tuple[Floats, dict[str, Floats]]:
        """Return the hidden states after the layer, and the mean squares by weight."""
        before = op.parameter(ov.PartialShape([-1, -1, self.decoder.hidden]), ov.Type.f32)
        after = self._layer(before, layer, index)
        read = list(self.read.values())
        axes = op.constant(np.array([0, 1]))
        squares = [op.reduce_mean(op.multiply(values, values), axes, False) for values, _ in read]
        feeds: dict[Node, npt.NDArray[Any]] = {
            before: hidden,
            self.ids: np.zeros(hidden.shape[:2], np.int64),
        }
        hidden, *powers = _inferred(self, [after, *squares], feeds)
        return hidden, {name: power for (_, names), power in zip(read, powers, strict=True) for name in names}

    def _linear(self, values: Node, linear: Linear) -> Node:
        self.read.setdefault(id(values), (values, []))[1].append(linear.weight)
        return super()._linear(values, linear)


def _inferred(graph: Graph, outputs: Sequence[Node], feeds: dict[Node, npt.NDArray[Any]]) -> list[Floats]:
    """Return the values of nodes for [samples, tokens] that all start a text."""
    samples, tokens = feeds[graph.ids].shape
    feeds |= {
        graph.state.attention_mask: np.ones((samples, tokens), np.int64),
        graph.position_ids: np.tile(np.arange(tokens), (samples, 1)),
        graph.state.beam: np.arange(samples, dtype=np.int32),
    }
    model = ov.Model([op.result(node) for node in outputs], graph.state.sinks, list(feeds))
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled.create_infer_request().infer(list(feeds.values()))
    return [np.array(found[place]) for place in range(len(outputs))]
