"""Build a stateful OpenVINO model from a Decoder and its weights. OpenVINO GenAI converts it to a paged one.

Dimensions in comments: B sequences, T new tokens, S tokens including the past, H query heads, K key/value
heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset15 as op

from engines.backends.openvino.layer_state import AttentionSizes, LayerState
from engines.backends.openvino.nodes import END, Node, integer, integers, number
from engines.backends.openvino.weight_nodes import WeightNodes
from engines.plan.decoder.config_check import refuse_soft_cap
from engines.plan.decoder.decoder import Decoder, Layer, Linear, Norm, Rope
from engines.plan.decoder.decoder_parts import LayerInput
from engines.weights.int4_recipe import PLAIN, Int4Recipe
from engines.weights.reader import WeightReader


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
    weights = WeightNodes(reader, precision, recipe)
    return Graph(decoder, weights).model(), weights.shared


def _scaled(values: Node, factor: float) -> Node:
    return values if factor == 1 else op.multiply(values, number(factor))


def _softcapped(values: Node, cap: float) -> Node:
    return op.multiply(op.tanh(op.divide(values, number(cap))), number(cap))


def _slice(values: Node, begin: int, end: int) -> Node:
    """Return a part of each head, of [B, heads, T, D]."""
    return op.slice(values, integers(begin), integers(end), integers(1), integers(3))


def _input(name: str, rank: int, element_type: ov.Type) -> Node:
    node = op.parameter(ov.PartialShape([-1] * rank), element_type, name=name)
    node.output(0).set_names({name})
    return node


@dataclass
class Graph:
    """The nodes of a decoder, with weights in one precision."""

    decoder: Decoder
    weights: WeightNodes
    angles: dict[Rope, tuple[Node, Node]] = field(default_factory=dict)
    keys: dict[int, tuple[Node, Node]] = field(default_factory=dict)
    """New keys and values of each layer, [B, K, T, D]."""
    embedded: Node = None
    """The embedding of the new tokens, scaled."""

    def __post_init__(self) -> None:
        self.reader = self.weights.reader
        self.ids = _input("input_ids", 2, ov.Type.i64)
        self.position_ids = _input("position_ids", 2, ov.Type.i64)
        mask, beam = _input("attention_mask", 2, ov.Type.i64), _input("beam_idx", 1, ov.Type.i32)
        self.state = LayerState(self.ids, mask, self.position_ids, beam)

    def model(self) -> ov.Model:
        table = self.weights.weight(
            Linear(self.decoder.embedding, self.decoder.hidden, self.decoder.vocabulary), last=True
        )
        hidden = op.gather(table, op.convert(self.ids, "i32"), integer(0))
        hidden = self.embedded = _scaled(hidden, self.decoder.embedding_scale)
        if self.decoder.positions is not None:
            learned = op.constant(self.reader.tensor(self.decoder.positions))
            hidden = op.add(hidden, op.gather(learned, op.convert(self.position_ids, "i32"), integer(0)))
        for index, layer in enumerate(self.decoder.layers):
            hidden = self._layer(hidden, layer, index)
        hidden = self._norm(hidden, self.decoder.final_norm)
        head = self.weights.weight(self.decoder.head, last=True) if not self.decoder.tied else table
        logits = op.result(self._logits(op.matmul(hidden, head, False, True)))
        logits.output(0).set_names({"logits"})
        state = self.state
        inputs = [state.ids, state.attention_mask, state.position_ids, state.beam]
        return ov.Model([logits], state.sinks, inputs, self.decoder.model_type)

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
        shape = integers(0, 0, count, own.width)
        linear = Linear(own.table, count * own.width, self.decoder.vocabulary)
        looked_up = op.gather(self.weights.weight(linear, last=True), op.convert(self.ids, "i32"), integer(0))
        looked_up = _scaled(op.reshape(looked_up, shape, True), own.width**0.5)
        projected = _scaled(self._linear(self.embedded, own.projection), self.decoder.hidden**-0.5)
        normed = self._norm(op.reshape(projected, shape, True), own.norm)
        return _scaled(op.add(normed, looked_up), 0.5**0.5)

    def _with_own_input(self, hidden: Node, own: LayerInput, index: int) -> Node:
        part = op.gather(self._per_layer_inputs, integer(index), integer(2))
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
        sizes = AttentionSizes(decoder.heads, layer.kv_heads, layer.head_dim, layer.head_dim)
        scale = decoder.attention_scale
        mixed = self.state.attend(query, (key, value), index, sizes, layer.window, scale)
        joined = op.transpose(mixed, integers(0, 2, 1, 3))
        joined = op.reshape(joined, integers(0, 0, decoder.heads * layer.head_dim), True)
        return self._linear(joined, layer.attention_out)

    def _project_qkv(self, hidden: Node, layer: Layer) -> list[Node]:
        if len(layer.attention_in) == 3 or layer.shares_keys_of is not None:
            return [self._linear(hidden, linear) for linear in layer.attention_in]
        query, key = (heads * layer.head_dim for heads in (self.decoder.heads, layer.kv_heads))
        sizes = integers(query, key, key)
        fused = self._linear(hidden, layer.attention_in[0])
        return list(op.variadic_split(fused, integer(-1), sizes).outputs())

    def _mlp(self, hidden: Node, layer: Layer) -> Node:
        if not self.decoder.gated:
            return self._linear(self._activation(self._linear(hidden, layer.mlp_in[0])), layer.mlp_out)
        if len(layer.mlp_in) == 2:
            gate, up = (self._linear(hidden, linear) for linear in layer.mlp_in)
        else:
            gate, up = op.split(self._linear(hidden, layer.mlp_in[0]), integer(-1), 2).outputs()
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
            scaled = op.mvn(values, integers(-1), True, decoder.norm_epsilon, "inside_sqrt")
            if norm.weight is not None:
                scaled = op.multiply(scaled, self._norm_weight(norm))
            return scaled if norm.bias is None else op.add(scaled, op.constant(self.reader.tensor(norm.bias)))
        if norm.weight is None:
            return self._scaled_to_one(values)
        return op.multiply(self._norm_weight(norm), self._scaled_to_one(values))

    def _scaled_to_one(self, values: Node) -> Node:
        # Exactly the pattern that OpenVINO fuses into one RMS node.
        square = op.reduce_mean(op.power(values, number(2)), integers(-1), True)
        inverse = op.divide(number(1), op.sqrt(op.add(square, number(self.decoder.norm_epsilon))))
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
        split = op.reshape(values, integers(0, 0, heads, width), True)
        return op.transpose(self._optional_norm(split, norm), integers(0, 2, 1, 3))

    @cached_property
    def _query_scales(self) -> Node:
        """The factor of each query, [B, 1, T, 1]; see `PositionScale`."""
        scale = self.decoder.query_scale
        assert scale is not None
        positions = op.convert(op.unsqueeze(self.position_ids, integers(1, 3)), "f32")
        periods = op.floor(op.divide(positions, number(scale.original_positions)))
        return op.add(op.multiply(op.log(op.add(periods, number(1))), number(scale.beta)), number(1))

    def _rope_angles(self, rope: Rope) -> tuple[Node, Node]:
        """Cosine and sine of the RoPE angles of the new tokens, each [B, 1, T, width]; shared by layers."""
        if rope not in self.angles:
            frequencies = np.array(rope.frequencies, np.float32).reshape(1, 1, -1)
            positions = op.convert(op.unsqueeze(self.position_ids, integer(2)), "f32")
            angles = op.multiply(positions, op.constant(frequencies))
            angles = op.concat([angles, angles], -1)
            cosine, sine = (
                _scaled(op.unsqueeze(kind(angles), integer(1)), rope.factor) for kind in (op.cos, op.sin)
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
            order = integers(*pairs, *range(rope.width, layer.head_dim))
            values = op.gather(values, order, integer(3))
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

    def _linear(self, values: Node, linear: Linear) -> Node:
        product = op.matmul(values, self.weights.weight(linear), False, True)
        if linear.bias is None:
            return product
        return op.add(product, op.constant(self.reader.tensor(linear.bias).reshape(1, 1, -1)))
