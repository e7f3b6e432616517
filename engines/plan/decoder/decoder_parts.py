"""Dataclasses that describe the parts of a decoder.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engines.plan.decoder.decoder_config import Activation
from engines.plan.decoder.rope import PositionScale, Rope


@dataclass(frozen=True)
class Norm:
    """Names of a norm's tensors; each has the size of the last axis. Without a weight it only normalises."""

    weight: str | None
    bias: str | None = None
    offset: float = 0.0
    """Added to the weight (1 in Gemma and Nemotron)."""


@dataclass(frozen=True)
class Linear:
    """Names of a projection's tensors."""

    weight: str
    inputs: int
    outputs: int
    bias: str | None = None
    transposed: bool = False
    """Stored as [inputs, outputs], as in GPT-2's Conv1D, instead of [outputs, inputs]."""


@dataclass(frozen=True)
class LayerInput:
    """What a layer adds from its part of the per-layer inputs: norm(out(activation(gate(x)) * input))."""

    gate: Linear
    out: Linear
    norm: Norm
    scale: str
    """Tensor of [1]: the factor of what the layer returns."""


@dataclass(frozen=True)
class PerLayerInputs:
    """A second embedding, with `width` values for each layer, as in Gemma 4.

    Each layer gets (norm(projection(x) / sqrt(hidden)) + table[id] * sqrt(width)) / sqrt(2).
    """

    table: str
    """Tensor of [vocabulary, layers * width]."""
    width: int
    projection: Linear
    norm: Norm


@dataclass(frozen=True)
class Layer:
    """One block: norm, attention, norm, add; norm, MLP, norm, add. Few families have all four norms."""

    attention_in: tuple[Linear, ...]
    """Query, key and value projections, or one fused projection in that order."""
    head_dim: int
    kv_heads: int
    attention_out: Linear
    mlp_in: tuple[Linear, ...]
    """Gate and up projections, or one fused projection in that order, or only up without a gate."""
    mlp_out: Linear
    attention_norm: Norm | None = None
    query_norm: Norm | None = None
    """Norm over each head of the query, or over all of them; see `Decoder.norms_projections`."""
    key_norm: Norm | None = None
    attention_out_norm: Norm | None = None
    mlp_norm: Norm | None = None
    """None in a parallel block, where the MLP starts from `attention_norm`."""
    mlp_out_norm: Norm | None = None
    rope: Rope | None = None
    window: int | None = None
    """How many tokens attention sees, the token itself included; None: all."""
    value_norm: Norm | None = None
    shares_keys_of: int | None = None
    """The layer whose keys and values this one reads: `attention_in` is then the query projection only."""
    own_input: LayerInput | None = None

    @property
    def linears(self) -> tuple[Linear, ...]:
        """Every projection in execution order."""
        own = (self.own_input.gate, self.own_input.out) if self.own_input else ()
        return (*self.attention_in, self.attention_out, *self.mlp_in, self.mlp_out, *own)

    @property
    def norms(self) -> Iterator[Norm]:
        """Yield the norms over the hidden size."""
        own = self.own_input.norm if self.own_input else None
        for norm in (self.attention_norm, self.attention_out_norm, self.mlp_norm, self.mlp_out_norm, own):
            if norm is not None:
                yield norm


@dataclass(frozen=True)
class Decoder:
    """A decoder-only transformer with causal attention."""

    model_type: str
    vocabulary: int
    hidden: int
    heads: int
    mlp: int
    """Intermediate size of the MLP."""
    norm: Literal["rms", "layer"]
    norm_epsilon: float
    activation: Activation
    gated: bool
    """MLP(x) = out(activation(gate(x)) * up(x)); else out(activation(up(x)))."""
    max_positions: int
    embedding: str
    """Tensor of [vocabulary, hidden]."""
    positions: str | None
    """Tensor of learned positions, [max_positions, hidden]; None with RoPE."""
    layers: tuple[Layer, ...]
    final_norm: Norm
    head: Linear
    norms_projections: bool = False
    """Query and key are normalised over all heads at once, as in OLMo 2; else by head."""
    rope_before_norm: bool = False
    """Query and key are normalised after RoPE, as in Hunyuan."""
    parallel: bool = False
    """Attention and MLP both read the output of `attention_norm`, as in Cohere and Phi-2."""
    attention_scale: float | None = None
    """Factor of the scores; None: 1 / sqrt(head_dim)."""
    query_scale: PositionScale | None = None
    softcap: float | None = None
    """Scores are bounded to c * tanh(score / c), as in Gemma 2."""
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    """Factor of what attention and MLP add."""
    per_layer_inputs: PerLayerInputs | None = None
    logit_scale: float = 1.0
    logit_softcap: float | None = None

    @property
    def head_dim(self) -> int:
        """Width of a head, where all layers have the same; see `per_layer_inputs`."""
        return self.layers[0].head_dim

    @property
    def kv_heads(self) -> int:
        """Number of key/value heads, where all layers have the same."""
        return self.layers[0].kv_heads

    @property
    def tied(self) -> bool:
        """Whether head and input embedding are one matrix."""
        return self.head.weight == self.embedding

    @property
    def linears(self) -> tuple[Linear, ...]:
        """Every projection in execution order, the head last."""
        layers = [layer.linears for layer in self.layers]
        first = (self.per_layer_inputs.projection,) if self.per_layer_inputs else ()
        return (*first, *(linear for layer in layers for linear in layer), self.head)
