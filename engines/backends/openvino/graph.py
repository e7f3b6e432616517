"""Build a stateful OpenVINO model from a Decoder and its weights. OpenVINO GenAI converts it to a paged one.

Dimensions in comments: B sequences, T new tokens, S tokens including the past, H query heads, K key/value
heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset15 as op

from engines.plan.decoder.config_check import refuse_soft_cap
from engines.plan.decoder.decoder import Decoder, Layer, Linear, Norm, Rope
from engines.plan.decoder.decoder_parts import LayerInput
from engines.weights.int4_recipe import PLAIN, Int4Recipe
from engines.weights.quantise import Int4, int4_group, packed_nibbles, quantise_int4, quantise_int8
from engines.weights.reader import WeightReader

Node: TypeAlias = Any
"""A node of the graph: the Python API of OpenVINO has no type hints for it."""

END = np.iinfo(np.int64).max
WIDENED = "/widened"
"""Suffix of the names of nodes that convert 16-bit weights to fp32; see `saving.mark_widened`."""


def build(
    decoder: Decoder, reader: WeightReader, precision: str, recipe: Int4Recipe = PLAIN
) -> tuple[ov.Model, list[Any]]:
    """Build the model of a decoder.

    Args:
        precision: `fp32`, `bf16`, `int8` or `int4`.
        recipe: how int4 weights are quantised; `reader` then reads them with the scales folded.

    Returns:
        The model, with inputs `input_ids`, `attention_mask`, `position_ids` ([B, T], [B, S], [B, T]) and
        `beam_idx` ([B]) and the output `logits` ([B, T, vocabulary]); and the arrays whose memory it shares,
        which must stay alive until the model is saved.

    Raises:
        EngineError: `unsupported-architecture`: paged attention cannot compute it.
    """
    refuse_soft_cap(decoder.softcap)
    graph = Graph(decoder, reader, precision, recipe)
    return graph.model(), graph.shared


def _integers(*values: int) -> Node:
    return op.constant(np.array(values, np.int64))


def _integer(value: int) -> Node:
    return op.constant(np.int64(value))


def _float(value: float) -> Node:
    return op.constant(np.float32(value))


def _scaled(values: Node, factor: float) -> Node:
    return values if factor == 1 else op.multiply(values, _float(factor))


def _softcapped(values: Node, cap: float) -> Node:
    return op.multiply(op.tanh(op.divide(values, _float(cap))), _float(cap))


def _slice(values: Node, begin: int, end: int) -> Node:
    """Return a part of each head, of [B, heads, T, D]."""
    return op.slice(values, _integers(begin), _integers(end), _integers(1), _integers(3))


def _input(name: str, rank: int, element_type: ov.Type) -> Node:
    node = op.parameter(ov.PartialShape([-1] * rank), element_type, name=name)
    node.output(0).set_names({name})
    return node


@dataclass
class Graph:
    """The nodes of a decoder, with weights in one precision."""

    decoder: Decoder
    reader: WeightReader
    precision: str
    recipe: Int4Recipe = PLAIN
    shared: list[Any] = field(default_factory=list)
    sinks: list[Node] = field(default_factory=list)
    angles: dict[Rope, tuple[Node, Node]] = field(default_factory=dict)
    masks: dict[int | None, Node] = field(default_factory=dict)
    keys: dict[int, tuple[Node, Node]] = field(default_factory=dict)
    """New keys and values of each layer, [B, K, T, D]."""
    embedded: Node = None
    """The embedding of the new tokens, scaled."""

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
        hidden = self.embedded = _scaled(hidden, self.decoder.embedding_scale)
        if self.decoder.positions is not None:
            learned = op.constant(self.reader.tensor(self.decoder.positions))
            hidden = op.add(hidden, op.gather(learned, op.convert(self.position_ids, "i32"), _integer(0)))
        for index, layer in enumerate(self.decoder.layers):
            hidden = self._layer(hidden, layer, index)
        hidden = self._norm(hidden, self.decoder.final_norm)
        head = self._weight(self.decoder.head, last=True) if not self.decoder.tied else table
        logits = op.result(self._logits(op.matmul(hidden, head, False, True)))
        logits.output(0).set_names({"logits"})
        inputs = [self.ids, self.attention_mask, self.position_ids, self.beam]
        return ov.Model([logits], self.sinks, inputs, self.decoder.model_type)

    def _logits(self, logits: Node) -> Node:
        decoder = self.decoder
        if decoder.head.bias is not None:
            logits = op.add(logits, op.constant(self.reader.tensor(decoder.head.bias).reshape(1, 1, -1)))
        logits = _scaled(logits, decoder.logit_scale)
        return logits if decoder.logit_softcap is None else _softcapped(logits, decoder.logit_softcap)

    def _layer(self, hidden: Node, layer: Layer, index: int) -> Node:
        scale = self.decoder.residual_scale
        start = self._optional_norm(hidden, layer.attention_norm)
        attended = self._optional_norm(self._attention(start, layer, index), layer.attention_out_norm)
        middle = op.add(hidden, _scaled(attended, scale))
        start = start if self.decoder.parallel else self._optional_norm(middle, layer.mlp_norm)
        added = self._optional_norm(self._mlp(start, layer), layer.mlp_out_norm)
        after = op.add(middle, _scaled(added, scale))
        return after if layer.own_input is None else self._with_own_input(after, layer.own_input, index)

    @cached_property
    def _per_layer_inputs(self) -> Node:
        """What the layers add to their own inputs, [B, T, layers, width]; see `PerLayerInputs`."""
        own, count = self.decoder.per_layer_inputs, len(self.decoder.layers)
        assert own is not None
        shape = _integers(0, 0, count, own.width)
        linear = Linear(own.table, count * own.width, self.decoder.vocabulary)
        looked_up = op.gather(self._weight(linear, last=True), op.convert(self.ids, "i32"), _integer(0))
        looked_up = _scaled(op.reshape(looked_up, shape, True), own.width**0.5)
        projected = _scaled(self._linear(self.embedded, own.projection), self.decoder.hidden**-0.5)
        normed = self._norm(op.reshape(projected, shape, True), own.norm)
        return _scaled(op.add(normed, looked_up), 0.5**0.5)

    def _with_own_input(self, hidden: Node, own: LayerInput, index: int) -> Node:
        part = op.gather(self._per_layer_inputs, _integer(index), _integer(2))
        gated = op.multiply(self._activation(self._linear(hidden, own.gate)), part)
        added = self._norm(self._linear(gated, own.out), own.norm)
        return op.multiply(op.add(hidden, added), op.constant(self.reader.tensor(own.scale)))

    # --- attention and MLP ------------------------------------------------------------------------------

    def _attention(self, hidden: Node, layer: Layer, index: int) -> Node:
        decoder = self.decoder
        query, *rest = self._project_qkv(hidden, layer)
        query = self._heads(query, decoder.heads, layer.query_norm, layer)
        if layer.shares_keys_of is not None:
            key, value = self.keys[layer.shares_keys_of]
        else:
            key = self._heads(rest[0], layer.kv_heads, layer.key_norm, layer)
            value = self._split_heads(rest[1], layer.kv_heads, layer.head_dim, layer.value_norm)
            self.keys[index] = key, value
        if decoder.query_scale is not None:
            query = op.multiply(query, self._query_scales)
        key, value = (
            self._repeat_kv(self._with_past(new, f"{index}.{name}", layer), layer)
            for new, name in ((key, "key"), (value, "value"))
        )
        inputs = [query, key, value, self._mask(layer.window)]
        if decoder.attention_scale is not None:
            inputs.append(_float(decoder.attention_scale))
        mixed = op.scaled_dot_product_attention(*inputs)
        joined = op.transpose(mixed, _integers(0, 2, 1, 3))
        joined = op.reshape(joined, _integers(0, 0, decoder.heads * layer.head_dim), True)
        return self._linear(joined, layer.attention_out)

    def _project_qkv(self, hidden: Node, layer: Layer) -> list[Node]:
        if len(layer.attention_in) == 3 or layer.shares_keys_of is not None:
            return [self._linear(hidden, linear) for linear in layer.attention_in]
        query, key = (heads * layer.head_dim for heads in (self.decoder.heads, layer.kv_heads))
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
        kind = self.decoder.activation
        if kind == "silu":
            return op.swish(values)
        if kind in ("relu", "relu2"):
            positive = op.relu(values)
            return positive if kind == "relu" else op.multiply(positive, positive)
        return op.gelu(values, "tanh" if kind == "gelu_tanh" else "erf")

    def _optional_norm(self, values: Node, norm: Norm | None) -> Node:
        return values if norm is None else self._norm(values, norm)

    def _norm(self, values: Node, norm: Norm) -> Node:
        decoder = self.decoder
        if decoder.norm == "layer":
            scaled = op.mvn(values, _integers(-1), True, decoder.norm_epsilon, "inside_sqrt")
            if norm.weight is not None:
                scaled = op.multiply(scaled, self._norm_weight(norm))
            return scaled if norm.bias is None else op.add(scaled, op.constant(self.reader.tensor(norm.bias)))
        if norm.weight is None:
            return self._scaled_to_one(values)
        return op.multiply(self._norm_weight(norm), self._scaled_to_one(values))

    def _scaled_to_one(self, values: Node) -> Node:
        # Exactly the pattern that OpenVINO fuses into one RMS node.
        square = op.reduce_mean(op.power(values, _float(2)), _integers(-1), True)
        inverse = op.divide(_float(1), op.sqrt(op.add(square, _float(self.decoder.norm_epsilon))))
        return op.multiply(values, inverse)

    def _norm_weight(self, norm: Norm) -> Node:
        assert norm.weight is not None
        return op.constant(self.reader.tensor(norm.weight) + np.float32(norm.offset))

    # --- parts of attention -----------------------------------------------------------------------------

    def _heads(self, values: Node, heads: int, norm: Norm | None, layer: Layer) -> Node:
        """Return [B, heads, T, D] from [B, T, heads * D], normalised and rotated."""
        decoder, width = self.decoder, layer.head_dim
        if decoder.rope_before_norm:
            rotated = self._apply_rope(self._split_heads(values, heads, width), layer)
            return self._optional_norm(rotated, norm)
        if decoder.norms_projections:
            return self._apply_rope(self._split_heads(self._optional_norm(values, norm), heads, width), layer)
        return self._apply_rope(self._split_heads(values, heads, width, norm), layer)

    def _split_heads(self, values: Node, heads: int, width: int, norm: Norm | None = None) -> Node:
        """Reshape [B, T, heads * D] to [B, heads, T, D], with an optional norm of each head."""
        split = op.reshape(values, _integers(0, 0, heads, width), True)
        return op.transpose(self._optional_norm(split, norm), _integers(0, 2, 1, 3))

    @cached_property
    def _query_scales(self) -> Node:
        """The factor of each query, [B, 1, T, 1]; see `PositionScale`."""
        scale = self.decoder.query_scale
        assert scale is not None
        positions = op.convert(op.unsqueeze(self.position_ids, _integers(1, 3)), "f32")
        periods = op.floor(op.divide(positions, _float(scale.original_positions)))
        return op.add(op.multiply(op.log(op.add(periods, _float(1))), _float(scale.beta)), _float(1))

    def _rope_angles(self, rope: Rope) -> tuple[Node, Node]:
        """Cosine and sine of the RoPE angles of the new tokens, each [B, 1, T, width]; shared by layers."""
        if rope not in self.angles:
            frequencies = np.array(rope.frequencies, np.float32).reshape(1, 1, -1)
            positions = op.convert(op.unsqueeze(self.position_ids, _integer(2)), "f32")
            angles = op.multiply(positions, op.constant(frequencies))
            angles = op.concat([angles, angles], -1)
            cosine, sine = (
                _scaled(op.unsqueeze(kind(angles), _integer(1)), rope.factor) for kind in (op.cos, op.sin)
            )
            self.angles[rope] = cosine, sine
        return self.angles[rope]

    def _apply_rope(self, values: Node, layer: Layer) -> Node:
        """Rotate the first values of each head, [B, heads, T, D]."""
        rope = layer.rope
        if rope is None:
            return values
        if rope.interleaved:
            # Neighbours are put half a head apart, in query and key alike, which leaves the scores as they
            # are: OpenVINO fuses this form of RoPE.
            pairs = [*range(0, rope.width, 2), *range(1, rope.width, 2)]
            order = _integers(*pairs, *range(rope.width, layer.head_dim))
            values = op.gather(values, order, _integer(3))
        if rope.width == layer.head_dim:
            return self._rotate(values, rope)
        rotated = self._rotate(_slice(values, 0, rope.width), rope)
        return op.concat([rotated, _slice(values, rope.width, END)], -1)

    def _rotate(self, values: Node, rope: Rope) -> Node:
        cosine, sine = self._rope_angles(rope)
        # Two slices instead of a split: otherwise OpenVINO does not fuse RoPE, and in bf16 the angles drift
        # beyond position 128 (KL divergence 2e-4 instead of 1.5e-5).
        first, second = _slice(values, 0, rope.width // 2), _slice(values, rope.width // 2, END)
        minus_one = op.constant(np.full((1, 1, 1, 1), -1, np.float32))
        rotated_half = op.concat([op.multiply(second, minus_one), first], -1)
        return op.add(op.multiply(values, cosine), op.multiply(rotated_half, sine))

    @cached_property
    def _batch(self) -> Node:
        return op.gather(op.shape_of(self.ids, "i64"), _integers(0), _integer(0))

    def _with_past(self, new: Node, name: str, layer: Layer) -> Node:
        """Append new keys or values to those of a state variable; return all of them, [B, K, S, D]."""
        kv_heads, head_dim = layer.kv_heads, layer.head_dim
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

    def _repeat_kv(self, values: Node, layer: Layer) -> Node:
        """Repeat [B, K, S, D] to [B, H, S, D]: each key/value head serves H / K query heads."""
        heads, kv_heads = self.decoder.heads, layer.kv_heads
        if heads == kv_heads:
            return values
        shape = op.shape_of(values, "i64")
        front = op.gather(shape, _integers(0, 1), _integer(0))
        back = op.gather(shape, _integers(2, 3), _integer(0))
        target = op.concat([front, _integers(heads // kv_heads), back], 0)
        copies = op.broadcast(op.unsqueeze(values, _integer(2)), target, "BIDIRECTIONAL")
        return op.reshape(copies, _integers(0, heads, -1, layer.head_dim), True)

    def _mask(self, window: int | None) -> Node:
        if window not in self.masks:
            self.masks[window] = self._causal_mask if window is None else self._window_mask(window)
        return self.masks[window]

    @cached_property
    def _columns(self) -> Node:
        """The places of the keys, [1, 1, 1, S]."""
        length = op.gather(op.shape_of(self.attention_mask, "i64"), _integer(1), _integer(0))
        columns = op.range(_integer(0), length, _integer(1), "i64")
        return op.unsqueeze(columns, _integers(0, 1, 2))

    @cached_property
    def _visible(self) -> tuple[Node, Node]:
        """Which keys are not after the query, [B, 1, T, S], and which are no padding, [B, 1, 1, S]."""
        before = op.less_equal(self._columns, op.unsqueeze(self.position_ids, _integers(1, 3)))
        return before, op.unsqueeze(op.convert(self.attention_mask, "boolean"), _integers(1, 2))

    @cached_property
    def _causal_mask(self) -> Node:
        """The causal mask [B, 1, T, S]: 0 for visible positions, -65504 for all others."""
        return op.select(op.logical_and(*self._visible), _float(0), _float(-65504))

    def _window_mask(self, window: int) -> Node:
        """The causal mask of attention to the last `window` tokens.

        Exactly the pattern that OpenVINO recognises when it makes attention paged, as in its graph of
        gpt-oss; other masks are dropped then without a word.
        """
        before, real = self._visible
        places = op.unsqueeze(self.position_ids, _integers(1, 3))
        inside = op.greater(self._columns, op.add(places, _integer(-window)))
        always = op.constant(np.ones((1, 1, 1, 1), np.bool_))
        seen = op.bitwise_and(op.bitwise_and(always, inside), before)
        seen = op.bitwise_and(op.bitwise_and(real, seen), always)
        shape = op.shape_of(op.logical_and(*self._visible), "i64")
        mask = op.select(op.broadcast(seen, shape), _float(0), _float(-65504))
        return op.slice(mask, _integers(0), _integers(END), _integers(1), _integers(3))

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
        flat = op.reshape(scaled, _integers(linear.outputs, linear.inputs), False)
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
