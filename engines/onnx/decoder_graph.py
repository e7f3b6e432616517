"""The ONNX graph of a decoder: prompt and decode in one, with a KV cache that is updated in place.

Dimensions: T new tokens, S tokens that attention sees, C tokens of the cache, R rows that reach the head.

The mask is an input in disguise: `used` is 0 … S-1, and a key is visible if its place is not after the
position of the query. It is explicit on purpose: TensorRT's parser drops `nonpad_kv_seqlen` silently, and
reads `is_causal` as a mask aligned to the first key, which is wrong in decode. S may be longer than what is
filled, so that a runtime that compiles for each shape sees few of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from engines.onnx.model_file import HEAD, ModelFile, Shape
from engines.onnx.weights import FLOAT_TYPES, WeightWriter
from engines.plan.decoder.config_check import refuse_layer_inputs
from engines.plan.decoder.decoder import Decoder, Layer, Linear, Norm, Rope
from engines.weights.reader import WeightReader

WIDE = FLOAT_TYPES["fp32"]


@dataclass(frozen=True)
class GraphFormat:
    """How the graph computes."""

    floats: str
    """`fp32`, `fp16` or `bf16`: activations, the KV cache and weights that are not quantised."""
    precision: str
    """Of the weights: as `floats`, or `int8`, `int4` or `fp8`."""
    cache_tokens: int | None = None
    """Length of the KV cache; None if it is chosen when the graph is loaded."""
    activation_scales: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Scale of the input of a product, by the name of its node: the input is rounded to int8 before it."""
    int8_embedding: bool = False
    """Whether the embedding of an int8 or int4 engine is int8 too. TensorRT refuses to look up int8 rows."""


def write_graph(decoder: Decoder, reader: WeightReader, folder: Path, form: GraphFormat) -> None:
    """Write the model to an existing folder, see `engines.onnx.folder`.

    Its inputs are `input_ids` and `position_ids` ([1, T]), `write_index` ([1], the place of the first new
    token in the cache), `used` ([S]), `rows` ([R], which of the new tokens get logits), all int64, and
    `past.N.key` and `past.N.value` ([1, KV heads, C, head width]). Its outputs are `logits` ([1, R,
    vocabulary], fp32) and `present.N.key` and `present.N.value`, for which the memory of the past is used.

    Raises:
        EngineError: a weight is not finite, or too large for the format; `unsupported-architecture`.
        OSError: the disk is full.
    """
    refuse_layer_inputs(decoder.per_layer_inputs is not None)
    with ModelFile(folder) as file:
        floats = FLOAT_TYPES[form.floats]
        weights = WeightWriter(file, reader, floats, form.precision, int8_rows=form.int8_embedding)
        _Graph(decoder, file, weights, form).write()
        file.save(decoder.model_type)


@dataclass
class _Graph:
    decoder: Decoder
    file: ModelFile
    weights: WeightWriter
    form: GraphFormat

    rounded: dict[str, str] = field(default_factory=dict)
    """Values that were rounded to int8."""
    angles: dict[Rope, tuple[str, str]] = field(default_factory=dict)
    masks: dict[int | None, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.floats = FLOAT_TYPES[self.form.floats]
        inputs: dict[str, Shape] = {
            "input_ids": (1, "T"),
            "position_ids": (1, "T"),
            "write_index": (1,),
            "used": ("S",),
            "rows": ("R",),
        }
        self.ids, self.positions, self.place, self.used, self.rows = (
            self.file.input(name, TensorProto.INT64, shape) for name, shape in inputs.items()
        )

    def write(self) -> None:
        decoder, file = self.decoder, self.file
        file.output("logits", TensorProto.FLOAT, (1, "R", decoder.vocabulary))
        hidden = self.weights.rows(decoder.embedding, decoder.vocabulary, decoder.hidden, self.ids)
        if decoder.positions is not None:
            learned = self.weights.vector(decoder.positions)
            hidden = file.node("Add", hidden, file.node("Gather", learned, self.positions, name="positions"))
        hidden = self._scaled(hidden, decoder.embedding_scale, "embedding_scale")
        for index, layer in enumerate(decoder.layers):
            with file.scope(f"layers.{index}"):
                hidden = self._layer(hidden, layer, index)
        hidden = self._norm(
            file.node("Gather", hidden, self.rows, name="chosen_rows", axis=1), decoder.final_norm
        )
        logits = self._bounded(self._head(hidden))
        if self.floats is WIDE:
            file.node("Identity", logits, name="logits", output="logits")
        else:
            file.node("Cast", logits, name="logits", output="logits", to=TensorProto.FLOAT)

    def _head(self, hidden: str) -> str:
        if self.decoder.tied and not self.weights.quantises_head:
            table = self.weights.table(self.decoder.embedding, self.decoder.vocabulary, self.decoder.hidden)
            weight = self.file.node("Transpose", table, name="head_weight", perm=[1, 0])
        else:
            weight = self.weights.linear(self.decoder.head, is_head=True)
        logits = self.file.node("MatMul", hidden, weight, name=HEAD)
        if self.decoder.head.bias is None:
            return logits
        return self.file.node("Add", logits, self.weights.vector(self.decoder.head.bias), name="head_bias")

    def _bounded(self, logits: str) -> str:
        logits = self._scaled(logits, self.decoder.logit_scale, "logit_scale")
        cap = self.decoder.logit_softcap
        if cap is None:
            return logits
        size = self._number("logit_softcap/cap", cap)
        bounded = self.file.node("Tanh", self.file.node("Div", logits, size, name="logit_softcap/divided"))
        return self.file.node("Mul", bounded, size, name="logit_softcap")

    def _layer(self, hidden: str, layer: Layer, index: int) -> str:
        file, scale = self.file, self.decoder.residual_scale
        with file.scope("attention"):
            start = self._optional_norm(hidden, layer.attention_norm)
            attended = self._optional_norm(self._attention(start, layer, index), layer.attention_out_norm)
            middle = file.node("Add", hidden, self._scaled(attended, scale, "scale"), name="add")
        with file.scope("mlp"):
            inputs = start if self.decoder.parallel else self._optional_norm(middle, layer.mlp_norm)
            inner = self._optional_norm(self._mlp(inputs, layer), layer.mlp_out_norm)
            return file.node("Add", middle, self._scaled(inner, scale, "scale"), name="add")

    # --- attention --------------------------------------------------------------------------------------

    def _attention(self, hidden: str, layer: Layer, index: int) -> str:
        decoder, file = self.decoder, self.file
        query, key, value = self._project(hidden, layer)
        query = self._heads(query, "query", decoder.heads, layer.query_norm, layer.rope)
        key = self._heads(key, "key", decoder.kv_heads, layer.key_norm, layer.rope)
        value = self._split_heads(value, "value", decoder.kv_heads)
        if decoder.query_scale is not None:
            query = file.node("Mul", query, self._query_scales, name="query_scale")
        keys, values = self._cached(key, index, "key"), self._cached(value, index, "value")
        scale = decoder.head_dim**-0.5 if decoder.attention_scale is None else decoder.attention_scale
        capped: dict[str, Any] = {} if decoder.softcap is None else {"softcap": decoder.softcap}
        mask = self._mask(layer.window)
        mixed = file.node("Attention", query, keys, values, mask, name="attention", scale=scale, **capped)
        joined = file.node("Transpose", mixed, name="joined", perm=[0, 2, 1, 3])
        flat = file.node(
            "Reshape", joined, file.integers(0, 0, decoder.heads * decoder.head_dim), name="flat"
        )
        return self._linear(flat, layer.attention_out, "output")

    def _project(self, hidden: str, layer: Layer) -> list[str]:
        if len(layer.attention_in) == 3:
            names = ("query", "key", "value")
            return [
                self._linear(hidden, linear, name)
                for name, linear in zip(names, layer.attention_in, strict=True)
            ]
        heads, kv_heads = (
            count * self.decoder.head_dim for count in (self.decoder.heads, self.decoder.kv_heads)
        )
        sizes = self.file.integers(heads, kv_heads, kv_heads)
        fused = self._linear(hidden, layer.attention_in[0], "query_key_value")
        return self.file.nodes("Split", fused, sizes, name="split", outputs=("", "", ""), axis=-1)

    def _heads(self, values: str, name: str, heads: int, norm: Norm | None, rope: Rope | None) -> str:
        """Return [1, heads, T, D] from [1, T, heads * D], normalised and rotated."""
        decoder = self.decoder
        if decoder.norms_projections:
            values, norm = self._optional_norm(values, norm), None
        before = None if decoder.rope_before_norm else norm
        rotated = self._rotate(self._split_heads(values, name, heads, before), name, rope)
        return self._optional_norm(rotated, norm) if decoder.rope_before_norm else rotated

    def _split_heads(self, values: str, name: str, heads: int, norm: Norm | None = None) -> str:
        """Reshape [1, T, heads * D] to [1, heads, T, D], with an optional norm of each head."""
        shape = self.file.integers(0, 0, heads, self.decoder.head_dim)
        split = self.file.node("Reshape", values, shape, name=f"{name}_heads")
        normed = self._optional_norm(split, norm)
        return self.file.node("Transpose", normed, name=f"{name}_transposed", perm=[0, 2, 1, 3])

    def _rotate(self, values: str, name: str, rope: Rope | None) -> str:
        if rope is None:
            return values
        cosine, sine = self._angles(rope)
        partial: dict[str, Any] = (
            {} if rope.width == self.decoder.head_dim else {"rotary_embedding_dim": rope.width}
        )
        return self.file.node(
            "RotaryEmbedding",
            values,
            cosine,
            sine,
            name=f"{name}_rope",
            interleaved=int(rope.interleaved),
            **partial,
        )

    @cached_property
    def _query_scales(self) -> str:
        """The factor of each query, [1, 1, T, 1]; see `PositionScale`."""
        file, scale = self.file, self.decoder.query_scale
        assert scale is not None
        column = file.node("Unsqueeze", self._wide_positions, file.integers(1, 3), name="query_scale/column")
        original, beta, one = (
            file.constant(f"query_scale/{name}", np.array(value, np.float32))
            for name, value in (("original", scale.original_positions), ("beta", scale.beta), ("one", 1))
        )
        periods = file.node("Floor", file.node("Div", column, original, name="query_scale/divided"))
        grown = file.node("Log", file.node("Add", periods, one, name="query_scale/from_one"))
        factor = file.node("Add", file.node("Mul", grown, beta, name="query_scale/grown"), one)
        return self._narrow(factor, "query_scale/factor")

    def _cached(self, new: str, index: int, name: str) -> str:
        """Write new keys or values into the cache; returns the first S of it, [1, KV heads, S, D]."""
        shape = (1, self.decoder.kv_heads, self.form.cache_tokens or "C", self.decoder.head_dim)
        past = self.file.input(f"past.{index}.{name}", self.floats.element, shape)
        present = self.file.output(f"present.{index}.{name}", self.floats.element, shape)
        self.file.node("TensorScatter", past, new, self.place, name=f"{name}_cache", output=present, axis=2)
        ends = self._count_used
        return self.file.node(
            "Slice", present, self.file.integers(0), ends, self.file.integers(2), name=f"{name}_used"
        )

    @cached_property
    def _count_used(self) -> str:
        return self.file.node("Shape", self.used, name="count_used")

    def _mask(self, window: int | None) -> str:
        """Which keys a query sees: [1, 1, T, S]."""
        if window not in self.masks:
            self.masks[window] = self._before if window is None else self._inside(window)
        return self.masks[window]

    @cached_property
    def _places(self) -> tuple[str, str]:
        """The places of keys and queries, [1, 1, 1, S] and [1, 1, T, 1]."""
        keys = self.file.node("Unsqueeze", self.used, self.file.integers(0, 1, 2), name="mask/keys")
        return keys, self.file.node(
            "Unsqueeze", self.positions, self.file.integers(1, 3), name="mask/queries"
        )

    @cached_property
    def _before(self) -> str:
        return self.file.node("LessOrEqual", *self._places, name="mask")

    def _inside(self, window: int) -> str:
        keys, queries = self._places
        size = self.file.constant(f"mask/{window}/window", np.array(window, np.int64))
        first = self.file.node("Sub", queries, size, name=f"mask/{window}/first")
        late = self.file.node("Greater", keys, first, name=f"mask/{window}/late")
        return self.file.node("And", self._before, late, name=f"mask/{window}")

    def _angles(self, rope: Rope) -> tuple[str, str]:
        """Cosine and sine of the RoPE angles of the new tokens, each [1, T, width / 2]."""
        if rope not in self.angles:
            file, name = self.file, "rope" if not self.angles else f"rope_{len(self.angles)}"
            frequencies = np.array(rope.frequencies, np.float32)
            radians = file.constant(f"{name}/frequencies", frequencies.reshape(1, 1, -1))
            column = file.node("Unsqueeze", self._wide_positions, file.integers(2), name=f"{name}/column")
            angles = file.node("Mul", column, radians, name=f"{name}/angles")
            self.angles[rope] = (
                self._part(angles, "Cos", f"{name}/cosine", rope.factor),
                self._part(angles, "Sin", f"{name}/sine", rope.factor),
            )
        return self.angles[rope]

    def _part(self, angles: str, kind: str, name: str, factor: float) -> str:
        part = self.file.node(kind, angles, name=f"{name}/{kind.lower()}")
        if factor != 1:
            by = self.file.constant(f"{name}/factor", np.array(factor, np.float32))
            part = self.file.node("Mul", part, by, name=f"{name}/scaled")
        return self._narrow(part, name)

    @cached_property
    def _wide_positions(self) -> str:
        return self.file.node("Cast", self.positions, name="rope/positions", to=TensorProto.FLOAT)

    # --- other parts ------------------------------------------------------------------------------------

    def _mlp(self, hidden: str, layer: Layer) -> str:
        file = self.file
        if not self.decoder.gated:
            inner = self._activation(self._linear(hidden, layer.mlp_in[0], "up"))
            return self._linear(inner, layer.mlp_out, "down")
        if len(layer.mlp_in) == 2:
            gate, up = (
                self._linear(hidden, one, name)
                for one, name in zip(layer.mlp_in, ("gate", "up"), strict=True)
            )
        else:
            fused = self._linear(hidden, layer.mlp_in[0], "gate_up")
            gate, up = file.nodes("Split", fused, name="split", outputs=("", ""), axis=-1, num_outputs=2)
        inner = file.node("Mul", self._activation(gate), up, name="gated")
        return self._linear(inner, layer.mlp_out, "down")

    def _activation(self, values: str) -> str:
        kind = self.decoder.activation
        if kind == "silu":
            return self.file.node("Mul", values, self.file.node("Sigmoid", values), name="silu")
        if kind in ("relu", "relu2"):
            positive = self.file.node("Relu", values)
            return positive if kind == "relu" else self.file.node("Mul", positive, positive, name="relu2")
        return self.file.node("Gelu", values, approximate="tanh" if kind == "gelu_tanh" else "none")

    def _scaled(self, values: str, factor: float, name: str) -> str:
        if factor == 1:
            return values
        return self.file.node("Mul", values, self._number(f"{name}/factor", factor), name=name)

    def _number(self, name: str, value: float) -> str:
        """Return a constant of the graph's own type."""
        return self.file.constant(name, self.floats.cast(np.array(value, np.float32), name))

    def _linear(self, values: str, linear: Linear, name: str) -> str:
        rounded = self._rounded(values, name)
        product = self.file.node("MatMul", rounded, self.weights.linear(linear), name=name)
        if linear.bias is None:
            return product
        return self.file.node("Add", product, self.weights.vector(linear.bias), name=f"{name}_bias")

    def _rounded(self, values: str, name: str) -> str:
        """Round the input of the product `name` to int8 if it has a scale; once for an input of several."""
        scale = self.form.activation_scales.get(self.file.path(name))
        if scale is None:
            return values
        if values not in self.rounded:
            size = self.floats.cast(np.array(scale, np.float32), f"the scale of {values}")
            parts = (
                self.file.constant(f"{values}.scale", size),
                self.file.constant(f"{values}.zero", np.array(0, np.int8)),
            )
            small = self.file.node("QuantizeLinear", values, *parts, name=f"{name}_rounded")
            self.rounded[values] = self.file.node("DequantizeLinear", small, *parts, name=f"{name}_widened")
        return self.rounded[values]

    def _optional_norm(self, values: str, norm: Norm | None) -> str:
        return values if norm is None else self._norm(values, norm)

    def _norm(self, values: str, norm: Norm) -> str:
        """Normalise in fp32, also in a graph of 16 bits."""
        wide = values
        if self.floats is not WIDE:
            wide = self.file.node("Cast", values, name="norm/widened", to=WIDE.element)
        inputs = [wide, self._norm_weight(norm)]
        if norm.bias is not None:
            inputs.append(self.weights.vector(norm.bias, WIDE))
        kind = "LayerNormalization" if self.decoder.norm == "layer" else "RMSNormalization"
        normed = self.file.node(kind, *inputs, name="norm", axis=-1, epsilon=self.decoder.norm_epsilon)
        return self._narrow(normed, "norm/narrowed")

    def _norm_weight(self, norm: Norm) -> str:
        if norm.weight is None:
            return self.file.constant("norm/ones", np.ones(self.decoder.hidden, np.float32))
        return self.weights.vector(norm.weight, WIDE, offset=norm.offset)

    def _narrow(self, values: str, name: str) -> str:
        """Return fp32 values in the type of the graph."""
        if self.floats is WIDE:
            return values
        return self.file.node("Cast", values, name=name, to=self.floats.element)
