"""Build a stateful OpenVINO model from a Decoder and its weights. OpenVINO GenAI converts it to a paged one.

Dimensions in comments: B sequences, T new tokens, S tokens including the past, H query heads, K key/value
heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import openvino as ov
from openvino import opset15 as op

from engines.plan.decoder.decoder import Decoder, Layer, Linear, Norm
from engines.weights.quantise import int4_group, quantise_int4, quantise_int8
from engines.weights.reader import WeightReader

Node: TypeAlias = Any
"""A node of the graph: the Python API of OpenVINO has no type hints for it."""

END = np.iinfo(np.int64).max
WIDENED = "/widened"
"""Suffix of the names of nodes that convert 16-bit weights to fp32; see `saving.mark_widened`."""


def build(decoder: Decoder, reader: WeightReader, precision: str) -> tuple[ov.Model, list[Any]]:
    """Build the model of a decoder.

    Args:
        precision: `fp32`, `bf16`, `int8` or `int4`.

    Returns:
        The model, with inputs `input_ids`, `attention_mask`, `position_ids` ([B, T], [B, S], [B, T]) and
        `beam_idx` ([B]) and the output `logits` ([B, T, vocabulary]); and the arrays whose memory it shares,
        which must stay alive until the model is saved.
    """
    graph = _Graph(decoder, reader, precision)
    return graph.model(), graph.shared


def _integers(*values: int) -> Node:
    return op.constant(np.array(values, np.int64))


def _integer(value: int) -> Node:
    return op.constant(np.int64(value))


def _float(value: float) -> Node:
    return op.constant(np.float32(value))


def _input(name: str, rank: int, element_type: ov.Type) -> Node:
    node = op.parameter(ov.PartialShape([-1] * rank), element_type, name=name)
    node.output(0).set_names({name})
    return node


@dataclass
class _Graph:
    decoder: Decoder
    reader: WeightReader
    precision: str
    shared: list[Any] = field(default_factory=list)
    sinks: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids = _input("input_ids", 2, ov.Type.i64)
        self.attention_mask = _input("attention_mask", 2, ov.Type.i64)
        self.position_ids = _input("position_ids", 2, ov.Type.i64)
        self.beam = _input("beam_idx", 1, ov.Type.i32)

    def model(self) -> ov.Model:
        table = self._weight(
            Linear(self.decoder.embedding, self.decoder.hidden, self.decoder.vocabulary), last=True
        )
        hidden = op.gather(table, op.convert(self.ids, "i32"), _integer(0))
        if self.decoder.positions is not None:
            learned = op.constant(self.reader.tensor(self.decoder.positions))
            hidden = op.add(hidden, op.gather(learned, op.convert(self.position_ids, "i32"), _integer(0)))
        for index, layer in enumerate(self.decoder.layers):
            hidden = op.add(hidden, self._attention(self._norm(hidden, layer.attention_norm), layer, index))
            hidden = op.add(hidden, self._mlp(self._norm(hidden, layer.mlp_norm), layer))
        hidden = self._norm(hidden, self.decoder.final_norm)
        head = self._weight(self.decoder.head, last=True) if not self.decoder.tied else table
        logits = op.result(op.matmul(hidden, head, False, True))
        logits.output(0).set_names({"logits"})
        inputs = [self.ids, self.attention_mask, self.position_ids, self.beam]
        return ov.Model([logits], self.sinks, inputs, self.decoder.model_type)

    # --- attention and MLP ------------------------------------------------------------------------------

    def _attention(self, hidden: Node, layer: Layer, index: int) -> Node:
        decoder = self.decoder
        query, key, value = self._project_qkv(hidden, layer)
        query = self._split_heads(query, decoder.heads, layer.query_norm)
        key = self._split_heads(key, decoder.kv_heads, layer.key_norm)
        value = self._split_heads(value, decoder.kv_heads, None)
        if layer.rotates:
            query, key = self._apply_rope(query), self._apply_rope(key)
        key, value = self._with_past(key, f"{index}.key"), self._with_past(value, f"{index}.value")
        mixed = op.scaled_dot_product_attention(
            query, self._repeat_kv(key), self._repeat_kv(value), self._causal_mask
        )
        joined = op.transpose(mixed, _integers(0, 2, 1, 3))
        joined = op.reshape(joined, _integers(0, 0, decoder.heads * decoder.head_dim), True)
        return self._linear(joined, layer.attention_out)

    def _project_qkv(self, hidden: Node, layer: Layer) -> list[Node]:
        if len(layer.attention_in) == 3:
            return [self._linear(hidden, linear) for linear in layer.attention_in]
        query, key = (heads * self.decoder.head_dim for heads in (self.decoder.heads, self.decoder.kv_heads))
        sizes = _integers(query, key, key)
        fused = self._linear(hidden, layer.attention_in[0])
        return list(op.variadic_split(fused, _integer(-1), sizes).outputs())

    def _mlp(self, hidden: Node, layer: Layer) -> Node:
        if not self.decoder.gated:
            return self._linear(self._activation(self._linear(hidden, layer.mlp_in[0])), layer.mlp_out)
        if len(layer.mlp_in) == 2:
            gate, up = (self._linear(hidden, linear) for linear in layer.mlp_in)
        else:
            gate, up = op.split(self._linear(hidden, layer.mlp_in[0]), _integer(-1), 2).outputs()
        return self._linear(op.multiply(self._activation(gate), up), layer.mlp_out)

    def _activation(self, values: Node) -> Node:
        if self.decoder.activation == "silu":
            return op.swish(values)
        return op.gelu(values, "tanh" if self.decoder.activation == "gelu_tanh" else "erf")

    def _norm(self, values: Node, norm: Norm) -> Node:
        epsilon, weight = self.decoder.norm_epsilon, op.constant(self.reader.tensor(norm.weight))
        if self.decoder.norm == "layer":
            scaled = op.multiply(op.mvn(values, _integers(-1), True, epsilon, "inside_sqrt"), weight)
            return op.add(scaled, op.constant(self.reader.tensor(str(norm.bias))))
        # Exactly the pattern that OpenVINO fuses into one RMS node.
        square = op.reduce_mean(op.power(values, _float(2)), _integers(-1), True)
        inverse = op.divide(_float(1), op.sqrt(op.add(square, _float(epsilon))))
        return op.multiply(weight, op.multiply(values, inverse))

    # --- parts of attention -----------------------------------------------------------------------------

    def _split_heads(self, values: Node, heads: int, norm: Norm | None) -> Node:
        """Reshape [B, T, heads * D] to [B, heads, T, D], with an optional norm of each head."""
        split = op.reshape(values, _integers(0, 0, heads, self.decoder.head_dim), True)
        normed = split if norm is None else self._norm(split, norm)
        return op.transpose(normed, _integers(0, 2, 1, 3))

    @cached_property
    def _rope_angles(self) -> tuple[Node, Node]:
        """Cosine and sine of the RoPE angles of the new tokens, each [B, 1, T, D]; shared by all layers."""
        assert self.decoder.rope is not None
        frequencies = np.array(
            self.decoder.rope.inverse_frequencies(self.decoder.head_dim), np.float32
        ).reshape(1, 1, -1)
        positions = op.convert(op.unsqueeze(self.position_ids, _integer(2)), "f32")
        angles = op.multiply(positions, op.constant(frequencies))
        angles = op.concat([angles, angles], -1)
        return op.unsqueeze(op.cos(angles), _integer(1)), op.unsqueeze(op.sin(angles), _integer(1))

    def _apply_rope(self, values: Node) -> Node:
        # Two slices instead of a split: otherwise OpenVINO does not fuse RoPE, and in bf16 the angles drift
        # beyond position 128 (KL divergence 2e-4 instead of 1.5e-5).
        cosine, sine = self._rope_angles
        half = _integers(self.decoder.head_dim // 2)
        first = op.slice(values, _integers(0), half, _integers(1), _integers(3))
        second = op.slice(values, half, _integers(END), _integers(1), _integers(3))
        minus_one = op.constant(np.full((1, 1, 1, 1), -1, np.float32))
        rotated_half = op.concat([op.multiply(second, minus_one), first], -1)
        return op.add(op.multiply(values, cosine), op.multiply(rotated_half, sine))

    @cached_property
    def _batch(self) -> Node:
        return op.gather(op.shape_of(self.ids, "i64"), _integers(0), _integer(0))

    def _with_past(self, new: Node, name: str) -> Node:
        """Append new keys or values to those of a state variable; return all of them, [B, K, S, D]."""
        kv_heads, head_dim = self.decoder.kv_heads, self.decoder.head_dim
        information = ov.op.util.VariableInfo()
        information.data_shape = ov.PartialShape([-1, kv_heads, -1, head_dim])
        information.data_type = ov.Type.f32
        information.variable_id = f"past_key_values.{name}present.{name}"
        variable = ov.op.util.Variable(information)
        empty = op.broadcast(_float(0), op.concat([self._batch, _integers(kv_heads, 0, head_dim)], 0))
        past = op.gather(op.read_value(empty, variable), self.beam, _integer(0))
        full = op.concat([past, new], -2)
        self.sinks.append(op.assign(full, variable))
        return full

    def _repeat_kv(self, values: Node) -> Node:
        """Repeat [B, K, S, D] to [B, H, S, D]: each key/value head serves H / K query heads."""
        heads, kv_heads = self.decoder.heads, self.decoder.kv_heads
        if heads == kv_heads:
            return values
        shape = op.shape_of(values, "i64")
        front = op.gather(shape, _integers(0, 1), _integer(0))
        back = op.gather(shape, _integers(2, 3), _integer(0))
        target = op.concat([front, _integers(heads // kv_heads), back], 0)
        copies = op.broadcast(op.unsqueeze(values, _integer(2)), target, "BIDIRECTIONAL")
        return op.reshape(copies, _integers(0, heads, -1, self.decoder.head_dim), True)

    @cached_property
    def _causal_mask(self) -> Node:
        """The causal mask [B, 1, T, S]: 0 for visible positions, -65504 for all others."""
        length = op.gather(op.shape_of(self.attention_mask, "i64"), _integer(1), _integer(0))
        columns = op.range(_integer(0), length, _integer(1), "i64")
        columns = op.unsqueeze(columns, _integers(0, 1, 2))
        before = op.less_equal(columns, op.unsqueeze(self.position_ids, _integers(1, 3)))
        real = op.unsqueeze(op.convert(self.attention_mask, "boolean"), _integers(1, 2))
        return op.select(op.logical_and(before, real), _float(0), _float(-65504))

    # --- weights ----------------------------------------------------------------------------------------

    def _linear(self, values: Node, linear: Linear) -> Node:
        product = op.matmul(values, self._weight(linear), False, True)
        if linear.bias is None:
            return product
        return op.add(product, op.constant(self.reader.tensor(linear.bias).reshape(1, 1, -1)))

    def _weight(self, linear: Linear, last: bool = False) -> Node:
        """Return a weight as [outputs, inputs].

        Args:
            last: Whether it is the embedding or the LM head, which are never quantised below int8.
        """
        group = int4_group(linear.inputs)
        if self.precision == "int4" and group is not None and not last:
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
        weight = quantise_int4(self.reader, linear, group)
        self.shared.append(weight.packed)
        tensor = ov.Tensor(weight.packed, ov.Shape(weight.shape), ov.Type.i4)
        values = op.convert(ov.op.Constant(tensor), "f16")
        scaled = op.multiply(values, op.constant(weight.scales))
        flat = op.reshape(scaled, _integers(linear.outputs, linear.inputs), False)
        return op.convert(flat, "f32")
