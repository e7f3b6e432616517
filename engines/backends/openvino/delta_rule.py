"""The gated delta rule of linear attention, as the loop that OpenVINO fuses into one operation."""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset14 as op  # not newer: OpenVINO recognises the Squeeze of this one

from engines.backends.openvino.nodes import END, Node, integer, integers, number

NORM_EPSILON = 1e-6
HEADS_FIRST, HEADS_FIRST_GATE = (0, 2, 1, 3), (0, 2, 1)


def delta_rule(
    inputs: tuple[Node, Node, Node, Node, Node], state: Node, *, normalised: bool
) -> tuple[Node, Node]:
    """Return the outputs, [B, T, H, value width], and the state after the last token.

    Args:
        inputs: queries, keys and values, [B, T, H, width], gates and betas, [B, T, H].
        state: [B, H, key width, value width].
        normalised: whether queries and keys are normalised to length one first.
    """
    query, key, value, gate, beta = inputs
    if normalised:
        query, key = _unit(query), _unit(key)
    query, key, value = (op.transpose(part, integers(*HEADS_FIRST)) for part in (query, key, value))
    gate, beta = (op.transpose(part, integers(*HEADS_FIRST_GATE)) for part in (gate, beta))
    # The scale is computed from the shape: only so OpenVINO recognises it.
    width = op.convert(op.gather(op.shape_of(query, "i64"), integer(3), integer(0)), "f32")
    query = op.divide(query, op.power(width, number(0.5)))
    mixed, new = _loop((query, key, value, gate, beta), state)
    # In one array and out again, which is a part of the form that is recognised.
    flat = op.concat([op.reshape(part, _int32(-1, rank=1), False) for part in (mixed, new)], 0)
    count = op.reduce_prod(op.shape_of(value, "i64"), integers(0), True)
    first = op.slice(flat, integers(0), count, integers(1), integers(0))
    rest = op.slice(flat, count, integers(END), integers(1), integers(0))
    mixed = op.reshape(first, op.shape_of(value, "i64"), False)
    return op.transpose(mixed, integers(*HEADS_FIRST)), op.reshape(rest, op.shape_of(state, "i64"), False)


def _unit(values: Node) -> Node:
    square = op.reduce_sum(op.multiply(values, values), integers(-1), True)
    return op.multiply(values, op.divide(number(1), op.sqrt(op.add(square, number(NORM_EPSILON)))))


def _int32(value: int, rank: int = 0) -> Node:
    return op.constant(np.full((1,) * rank, value, np.int32))


def _loop(inputs: tuple[Node, ...], state: Node) -> tuple[Node, Node]:
    """Go through the tokens one by one: [B, H, T, width] and the gates [B, H, T]."""
    vectors = [op.parameter([-1, -1, 1, -1], np.float32) for _ in range(3)]
    gates = [op.parameter([-1, -1, 1], np.float32) for _ in range(2)]
    place = op.parameter([], np.int32)
    before, outputs = (op.parameter([-1, -1, -1, -1], np.float32) for _ in range(2))
    query, key, value = (op.squeeze(vector, _int32(2)) for vector in vectors)
    column = op.unsqueeze(key, _int32(-1))
    kept = op.multiply(before, op.unsqueeze(op.exp(gates[0]), _int32(-1)))
    known = op.reduce_sum(op.multiply(kept, column), _int32(-2), False)
    change = op.multiply(op.subtract(value, known), gates[1])
    after = op.add(kept, op.multiply(column, op.unsqueeze(change, _int32(-2))))
    read = op.reduce_sum(op.multiply(after, op.unsqueeze(query, _int32(-1))), _int32(-2), True)
    written = op.scatter_update(outputs, op.unsqueeze(place, _int32(0)), read, _int32(2))
    parameters = [place, *vectors, *gates, before, outputs]
    body = ov.Model([op.constant([True], dtype=bool), after, written], parameters, "delta rule")

    shape = op.shape_of(inputs[2])
    tokens = op.convert(op.gather(shape, _int32(2), _int32(0)), "i32")
    loop = op.loop(tokens, op.constant(True, dtype="bool"))
    loop.set_function(body)
    for parameter, node in zip((*vectors, *gates), inputs, strict=True):
        loop.set_sliced_input(parameter, node.output(0), 0, 1, 1, -1, 2)
    loop.set_merged_input(before, state.output(0), after.output(0))
    empty = op.broadcast(number(0), shape)
    loop.set_merged_input(outputs, empty.output(0), written.output(0))
    loop.set_special_body_ports([0, 0])
    return loop.get_iter_value(written.output(0), -1), loop.get_iter_value(after.output(0), -1)
