"""transformers' model whose parts with a state between steps are modules: operations when it is traced.

A model is traced without a cache. Its attention, short convolutions and gated delta rules are called by
functions that can be replaced, so each call goes through a module that computes the same and that a
conversion replaces by nodes with a state. Experts are computed in a form that can be traced: all of them for
each token, weighted by the router.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from engines.backends.openvino.layer_state import AttentionSizes
from engines.plan.decoder.decoder_config import unsupported

NAME = "openvino"
"""Of the attention and the experts in transformers' registries."""
CONVOLUTION, DELTA_RULE = "causal_conv1d_fn", "torch_chunk_gated_delta_rule"
"""Functions in the modules of transformers' models."""
SILU = ("silu", "swish")


@dataclass(frozen=True)
class AttentionCall:
    """One call of attention."""

    index: int
    sizes: AttentionSizes
    window: int | None
    scale: float


@dataclass(frozen=True)
class ConvolutionCall:
    """One call of a short convolution along the tokens."""

    index: int
    channels: int
    kernel: int


@dataclass(frozen=True)
class DeltaCall:
    """One call of a gated delta rule."""

    index: int
    heads: int
    key_width: int
    value_width: int
    normalised: bool
    """Whether queries and keys are normalised to length one first."""


Call: TypeAlias = AttentionCall | ConvolutionCall | DeltaCall


class Attention(torch.nn.Module):  # type: ignore[misc]
    """Causal attention without a cache; ids, mask, positions and beam are for the conversion."""

    def __init__(self, call: AttentionCall) -> None:
        super().__init__()
        self.call = call

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *_inputs: Tensor) -> Tensor:
        """Return [B, H, T, D] of queries [B, H, T, D], keys and values [B, K, T, D]."""
        tokens, copies = query.shape[2], self.call.sizes.heads // self.call.sizes.kv_heads
        seen = torch.ones(tokens, tokens, dtype=torch.bool).tril()
        if self.call.window is not None:
            seen = seen.triu(1 - self.call.window)
        key, value = key.repeat_interleave(copies, 1), value.repeat_interleave(copies, 1)
        return functional.scaled_dot_product_attention(query, key, value, seen, scale=self.call.scale)


class Convolution(torch.nn.Module):  # type: ignore[misc]
    """A causal convolution of each channel without a cache."""

    def __init__(self, call: ConvolutionCall) -> None:
        super().__init__()
        self.call = call

    def forward(self, values: Tensor, weight: Tensor, *_inputs: Tensor) -> Tensor:
        """Return [B, channels, T] of values [B, channels, T] and weights [channels, kernel]."""
        padded = functional.pad(values, (self.call.kernel - 1, 0))
        return functional.conv1d(padded, weight[:, None], groups=self.call.channels)


class DeltaRule(torch.nn.Module):  # type: ignore[misc]
    """A gated delta rule without a cache."""

    def __init__(self, call: DeltaCall, rule: Callable[..., tuple[Tensor, Any]]) -> None:
        super().__init__()
        self.call, self.rule = call, rule

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, gate: Tensor, beta: Tensor, *_inputs: Tensor
    ) -> Tensor:
        """Return [B, T, H, D] of queries, keys and values [B, T, H, D], gates and betas [B, T, H]."""
        normalised = self.call.normalised
        found, _ = self.rule(query, key, value, g=gate, beta=beta, use_qk_l2norm_in_kernel=normalised)
        return found


class TracedDecoder(torch.nn.Module):  # type: ignore[misc]
    """A model with the inputs of a decoder's graph; `modules_called` are its parts with a state."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.modules_called = torch.nn.ModuleList()
        self._inputs: tuple[Tensor, ...] = ()
        self._next = 0

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, beam_idx: Tensor
    ) -> Tensor:
        """Return the logits, [B, T, vocabulary]."""
        self._inputs, self._next = (input_ids, attention_mask, position_ids, beam_idx), 0
        logits: Tensor = self.model(input_ids=input_ids, position_ids=position_ids, use_cache=False).logits
        return logits

    def attend(
        self,
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        sliding_window: int | None = None,
        softcap: float | None = None,
        s_aux: Tensor | None = None,
        **_options: Any,
    ) -> tuple[Tensor, None]:
        """Compute attention in the place of transformers' own function; returns [B, T, H, D]."""
        del attention_mask
        if softcap is not None or s_aux is not None or getattr(module, "is_causal", True) is False:
            raise unsupported("attention with soft caps, with sinks, or that is not causal")
        sizes = AttentionSizes(*(int(n) for n in (query.shape[1], *key.shape[1::2], value.shape[3])))
        scale = query.shape[3] ** -0.5 if scaling is None else float(scaling)
        call = AttentionCall(self._count(Attention), sizes, sliding_window, scale)
        mixed = self._called(lambda: Attention(call))(query, key, value, *self._inputs)
        return mixed.transpose(1, 2).contiguous(), None

    def convolve(
        self,
        values: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        activation: str | None = None,
        **_options: Any,
    ) -> Tensor:
        """Compute a short convolution in the place of transformers' own function."""
        call = ConvolutionCall(self._count(Convolution), *(int(size) for size in weight.shape))
        found = self._called(lambda: Convolution(call))(values, weight, *self._inputs)
        found = found if bias is None else found + bias[:, None]
        return functional.silu(found) if activation in SILU else found

    def delta_rule(
        self, rule: Callable[..., tuple[Tensor, Any]]
    ) -> Callable[..., tuple[Tensor, Tensor | None]]:
        """Return a function for the place of transformers' own."""

        def compute(
            query: Tensor,
            key: Tensor,
            value: Tensor,
            g: Tensor,
            beta: Tensor,
            use_qk_l2norm_in_kernel: bool = False,
            **_options: Any,
        ) -> tuple[Tensor, None]:
            copies = int(value.shape[2]) // int(query.shape[2])
            if copies > 1:
                query, key = query.repeat_interleave(copies, 2), key.repeat_interleave(copies, 2)
            heads, key_width, value_width = (int(size) for size in (*query.shape[2:], value.shape[3]))
            call = DeltaCall(
                self._count(DeltaRule), heads, key_width, value_width, normalised=use_qk_l2norm_in_kernel
            )
            module = self._called(lambda: DeltaRule(call, rule))
            return module(query, key, value, g, beta, *self._inputs), None

        return compute

    def _count(self, kind: type[torch.nn.Module]) -> int:
        return sum(isinstance(module, kind) for module in self.modules_called[: self._next])

    def _called(self, make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
        """Return the module of this call, which is made in the first forward pass."""
        if self._next == len(self.modules_called):
            self.modules_called.append(make())
        self._next += 1
        return self.modules_called[self._next - 1]


@contextmanager
def replaced_functions(decoder: TracedDecoder) -> Iterator[None]:
    """Let the model of a decoder call the functions of `decoder` while the context lasts."""
    AttentionInterface.register(NAME, decoder.attend)
    module = sys.modules[type(decoder.model).__module__]
    kept = {name: getattr(module, name) for name in (CONVOLUTION, DELTA_RULE) if hasattr(module, name)}
    if CONVOLUTION in kept:
        setattr(module, CONVOLUTION, decoder.convolve)
    if DELTA_RULE in kept:
        setattr(module, DELTA_RULE, decoder.delta_rule(kept[DELTA_RULE]))
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(module, name, function)


def dense_experts(experts: Any, hidden: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of the chosen experts' outputs, [tokens, hidden].

    Args:
        experts: transformers' module with the weights of all experts.
        hidden: [tokens, hidden].
        chosen: the experts of each token, [tokens, experts per token].
        weights: of the chosen experts.
    """
    up = experts.gate_up_proj if experts.has_gate else experts.up_proj
    count, transposed = up.shape[0], experts.is_transposed
    routed = torch.zeros(hidden.shape[0], count, dtype=hidden.dtype).scatter(
        1, chosen, weights.to(hidden.dtype)
    )
    copies = hidden.repeat(count, 1).view(count, -1, hidden.shape[1])
    inner = torch.bmm(copies, up if transposed else up.transpose(1, 2))
    if experts.has_bias:
        bias = experts.gate_up_proj_bias if experts.has_gate else experts.up_proj_bias
        inner = inner + bias[:, None]
    inner = experts._apply_gate(inner) if experts.has_gate else experts.act_fn(inner)
    outer = torch.bmm(inner, experts.down_proj if transposed else experts.down_proj.transpose(1, 2))
    if experts.has_bias:
        outer = outer + experts.down_proj_bias[:, None]
    return (outer * routed.t()[..., None]).sum(0)


AttentionInterface.register(NAME, lambda *_: None)
AttentionMaskInterface.register(NAME, lambda *_arguments, **_options: None)
ALL_EXPERTS_FUNCTIONS.register(NAME, dense_experts)
