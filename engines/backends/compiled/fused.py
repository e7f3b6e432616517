"""Fused projections: q, k and v of a layer are one product, as are gate and up.

A matrix-vector product of one token is too small to keep a GPU busy for long. Each product reads its weights
at memory bandwidth, but starts and ends with idle memory: fewer, larger ones lose less. The values are the
same: each output is computed from its own row of the weights, and scales are kept by row.
"""

from __future__ import annotations

from typing import Any

import torch

GROUPS = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
"""Projections of the same input in transformers' layers, by the name of the fused module."""


class SharedProduct:
    """The fused product of one input: computed for the first of its projections, kept for the others."""

    def __init__(self, parent: torch.nn.Module, name: str, sizes: list[int]) -> None:
        """Create it for the module `name` of `parent`, which quantising may replace later."""
        self._parent = parent
        self._name = name
        self._sizes = sizes
        self._pending: dict[int, Any] = {}
        self._input: Any = None

    def take(self, index: int, x: Any) -> Any:
        """Return the outputs of one projection of `x`; each can be taken once."""
        if self._input is not x or index not in self._pending:
            self._input = x
            product = getattr(self._parent, self._name)(x)
            self._pending = dict(enumerate(product.split(self._sizes, -1)))
        part = self._pending.pop(index)
        if not self._pending:
            self._input = None
        return part


class Projection(torch.nn.Module):  # type: ignore[misc]
    """One of the projections that a fused module replaces; it has no weights."""

    def __init__(self, shared: SharedProduct, index: int) -> None:
        super().__init__()
        self._shared = shared
        self._index = index

    def forward(self, x: Any) -> Any:
        """Return the outputs of this projection."""
        return self._shared.take(self._index, x)


def fuse_projections(model: torch.nn.Module) -> int:
    """Fuse the linear layers of `model` that GROUPS names; return the number of fused modules."""
    fused = 0
    for parent in list(model.modules()):
        for name, parts in GROUPS.items():
            modules: list[Any] = [getattr(parent, part, None) for part in parts]
            if not _can_fuse(modules):
                continue
            linear = _concatenate(modules)
            parent.add_module(name, linear)
            shared = SharedProduct(parent, name, [module.out_features for module in modules])
            for index, part in enumerate(parts):
                setattr(parent, part, Projection(shared, index))
            fused += 1
    return fused


def _can_fuse(modules: list[Any]) -> bool:
    """Return whether all are linear layers of one input size, and all or none have a bias."""
    if not all(type(module) is torch.nn.Linear for module in modules):
        return False
    return len({(module.in_features, module.bias is None) for module in modules}) == 1


def _concatenate(modules: list[torch.nn.Linear]) -> torch.nn.Linear:
    first = modules[0]
    outputs = sum(module.out_features for module in modules)
    with torch.device("meta"):
        linear = torch.nn.Linear(first.in_features, outputs, bias=first.bias is not None)
    weights = torch.cat([module.weight.detach() for module in modules])
    linear.weight = torch.nn.Parameter(weights, requires_grad=False)
    if first.bias is not None:
        biases = torch.cat([module.bias.detach() for module in modules])
        linear.bias = torch.nn.Parameter(biases, requires_grad=False)
    return linear
