"""Which linear layers of a model are quantised, and in what form they are stored.

On a GPU all of them are layers of our own, with a kernel for one token. On the CPU those with 8 bits are
torchao's, whose products Inductor compiles, and those with 4 bits are our own: torchao has no kernel there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from engines.backends.compiled.eight_bits import EightBitLinear
from engines.backends.compiled.four_bits import CpuFourBitLinear, CudaFourBitLinear
from engines.build.spec import EngineSpec

Layer = Callable[[torch.nn.Linear, Any], Any]
"""Returns an empty layer for a linear layer, on a device."""


def quantise_model(model: Any, spec: EngineSpec) -> None:
    """Quantise the linear layers of `model` on the spec's device."""
    head = model.get_output_embeddings()
    _untie(model, head)
    replace_layers(model, spec)
    if not _on_gpu(spec):
        _quantise_with_torchao(model, head, only_head=spec.precision == "int4")


def replace_layers(model: Any, spec: EngineSpec, fill: bool = True) -> None:
    """Replace the linear layers that have a form of our own.

    Args:
        fill: Whether to quantise the weights; otherwise the layers stay empty, to be loaded.
    """
    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            kind = _layer(child, spec, child is head) if isinstance(child, torch.nn.Linear) else None
            if kind is None:
                continue
            layer = kind(child, spec.device if fill else child.weight.device)
            if fill:
                layer.fill(child.weight.detach().to(spec.device))
            setattr(parent, name, layer)


def _layer(module: torch.nn.Linear, spec: EngineSpec, is_head: bool) -> Layer | None:
    """Return our form of a linear layer, or None where it has none.

    The LM head is sensitive: 4 bits are too few for it, and an fp8 engine leaves it unquantised.
    """
    if spec.precision == "int4" and not is_head:
        four_bits = CudaFourBitLinear if _on_gpu(spec) else CpuFourBitLinear
        return four_bits if four_bits.fits(module) else None
    if not _on_gpu(spec) or (is_head and spec.precision == "fp8"):
        return None
    return partial(EightBitLinear, kind="fp8" if spec.precision == "fp8" else "int8")


def _quantise_with_torchao(model: Any, head: Any, only_head: bool) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    def is_chosen(module: Any, _name: str) -> bool:
        return module is head if only_head else isinstance(module, torch.nn.Linear)

    quantize_(model, Int8WeightOnlyConfig(set_inductor_config=False), is_chosen, device="cpu")


def _on_gpu(spec: EngineSpec) -> bool:
    return spec.device.startswith("cuda")


def _untie(model: Any, head: Any) -> None:
    """Give a tied LM head its own weights, so that the embedding table is not quantised with it."""
    embedding = model.get_input_embeddings()
    if head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(embedding.weight.detach().clone(), requires_grad=False)
    model.config.tie_word_embeddings = False
