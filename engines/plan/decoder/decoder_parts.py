"""Dataclasses that describe the parts of a decoder.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Llama3Scaling:
    """RoPE scaling for a longer context as in Llama 3.1; `rope_type` "llama3"."""

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_positions: float
    """Context length of the pre-training, in tokens."""


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding in the half-split layout: dimension i is paired with i + head_dim / 2."""

    theta: float
    scaling: Llama3Scaling | None = None

    def inverse_frequencies(self, head_dim: int) -> tuple[float, ...]:
        """Return the radians per position of each of the head_dim / 2 pairs.

        Source: Su et al. 2021 (arXiv:2104.09864); scaling as in `_compute_llama3_parameters` of transformers.
        """
        plain = [self.theta ** (-2 * pair / head_dim) for pair in range(head_dim // 2)]
        return tuple(plain if self.scaling is None else (_stretch(value, self.scaling) for value in plain))


def _stretch(frequency: float, scaling: Llama3Scaling) -> float:
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    turns = scaling.original_positions * frequency / (2 * math.pi)
    if turns > high:
        return frequency
    if turns < low:
        return frequency / scaling.factor
    smooth = (turns - low) / (high - low)
    return (1 - smooth) * frequency / scaling.factor + smooth * frequency


@dataclass(frozen=True)
class Norm:
    """Names of a norm's tensors; each has the size of the last axis."""

    weight: str
    bias: str | None = None


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
class Layer:
    """One block: norm, attention, add; norm, MLP, add."""

    attention_norm: Norm
    attention_in: tuple[Linear, ...]
    """Query, key and value projections, or one fused projection in that order."""
    query_norm: Norm | None
    """Norm over each head of the query, before RoPE (Qwen3)."""
    key_norm: Norm | None
    attention_out: Linear
    rotates: bool
    """Whether RoPE is applied in this layer (not in every fourth layer of SmolLM3)."""
    mlp_norm: Norm
    mlp_in: tuple[Linear, ...]
    """Gate and up projections, or one fused projection in that order, or only up without a gate."""
    mlp_out: Linear


@dataclass(frozen=True)
class Decoder:
    """A decoder-only transformer with full causal attention."""

    model_type: str
    vocabulary: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    """Intermediate size of the MLP."""
    norm: Literal["rms", "layer"]
    norm_epsilon: float
    activation: Literal["silu", "gelu", "gelu_tanh"]
    gated: bool
    """MLP(x) = out(activation(gate(x)) * up(x)); else out(activation(up(x)))."""
    max_positions: int
    rope: Rope | None
    embedding: str
    """Tensor of [vocabulary, hidden]."""
    positions: str | None
    """Tensor of learned positions, [max_positions, hidden]; None with RoPE."""
    layers: tuple[Layer, ...]
    final_norm: Norm
    head: Linear

    @property
    def tied(self) -> bool:
        """Whether head and input embedding are one matrix."""
        return self.head.weight == self.embedding

    @property
    def linears(self) -> tuple[Linear, ...]:
        """Every projection in execution order, the head last."""
        layers = [
            (*layer.attention_in, layer.attention_out, *layer.mlp_in, layer.mlp_out) for layer in self.layers
        ]
        return (*(linear for layer in layers for linear in layer), self.head)
