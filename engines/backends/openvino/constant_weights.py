"""Store the weights of a converted model in the precision of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset15 as op

from engines.backends.openvino.nodes import Node, integers
from engines.backends.openvino.weight_nodes import WeightNodes
from engines.plan.decoder.decoder import Linear
from engines.weights.int4_recipe import Int4Recipe
from engines.weights.reader import CHUNK_ELEMENTS, Floats, WeightReader, to_bfloat16

SMALLEST = 4096
"""Values of the smallest matrix that is not left in 32 bits."""


class ArrayReader(WeightReader):
    """Reads one weight from memory."""

    def __init__(self, values: Floats) -> None:
        """Read `values`, [outputs, inputs]."""
        super().__init__({})
        self._values = values

    def chunks(self, linear: Linear) -> Iterator[tuple[int, Floats]]:
        """See `WeightReader.chunks`."""
        step = max(1, CHUNK_ELEMENTS // linear.inputs)
        for begin in range(0, linear.outputs, step):
            yield begin, np.ascontiguousarray(self._values[begin : begin + step])

    def stored(self, linear: Linear, bfloat16: bool) -> npt.NDArray[np.generic]:
        """See `WeightReader.stored`."""
        del linear
        return to_bfloat16(self._values) if bfloat16 else self._values


def store_weights(
    model: ov.Model, precision: str, recipe: Int4Recipe, on_matrix: Callable[[int, int], None]
) -> list[Any]:
    """Replace the matrices of products and embeddings by nodes in `precision`.

    Args:
        precision: as of `graph.build`.
        on_matrix: called with the matrices that are done, and all of them.

    Returns:
        The arrays whose memory the model shares, which must stay alive until it is saved.
    """
    if precision == "fp32":
        return []
    shared: list[Any] = []
    found = [node for node in model.get_ops() if node.get_type_name() == "Constant" and _is_weight(node)]
    for done, constant in enumerate(found, 1):
        weights = WeightNodes(ArrayReader(_rows(constant)), precision, recipe)
        _replace(constant, weights)
        shared.append(weights)
        on_matrix(done, len(found))
    model.validate_nodes_and_infer_types()
    return shared


def _is_weight(constant: Node) -> bool:
    shape = list(constant.shape)
    big = constant.get_element_type() == ov.Type.f32 and len(shape) in (2, 3) and prod(shape) >= SMALLEST
    return big and any(_is_product(input_) or _is_embedding(input_) for input_ in _consumers(constant))


def _consumers(constant: Node) -> list[Any]:
    return list(constant.output(0).get_target_inputs())


def _is_product(input_: Any) -> bool:
    return bool(input_.get_node().get_type_name() == "MatMul" and input_.get_index() == 1)


def _is_embedding(input_: Any) -> bool:
    return bool(input_.get_node().get_type_name() == "Gather" and input_.get_index() == 0)


def _is_transposed(constant: Node) -> bool:
    """Return whether its rows are inputs, as in a product without `transpose_b`."""
    products = [input_.get_node() for input_ in _consumers(constant) if _is_product(input_)]
    return any(not product.get_attributes()["transpose_b"] for product in products)


def _rows(constant: Node) -> Floats:
    """Return the weight, [all outputs, inputs]."""
    values: Floats = constant.data
    values = values.swapaxes(-1, -2) if _is_transposed(constant) else values
    return np.ascontiguousarray(values).reshape(-1, values.shape[-1])


def _replace(constant: Node, weights: WeightNodes) -> None:
    shape, transposed = list(constant.shape), _is_transposed(constant)
    inputs = shape[-2] if transposed else shape[-1]
    consumers = _consumers(constant)
    # Nothing is said of the head in a converted model: it is the matrix that gives the logits.
    last = any(_is_embedding(input_) or _gives_logits(input_) for input_ in consumers)
    linear = Linear(constant.get_friendly_name(), inputs, prod(shape) // inputs)
    node = weights.weight(linear, last=last)
    if len(shape) == 3:
        rows = shape[2] if transposed else shape[1]
        node = op.reshape(node, integers(shape[0], rows, inputs), False)
    if transposed:
        axes = (0, 2, 1) if len(shape) == 3 else (1, 0)
        node = op.transpose(node, integers(*axes))
    for input_ in consumers:
        input_.replace_source_output(node.output(0))


def _gives_logits(input_: Any) -> bool:
    targets = [target.get_node() for target in input_.get_node().output(0).get_target_inputs()]
    return any(target.get_type_name() == "Result" for target in targets)
