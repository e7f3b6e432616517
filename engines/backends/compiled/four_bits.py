"""Linear layers of four bits a weight for the CPU, where torchao 0.18 has no kernel for them.

Measured on one H200 instead of torchao's packed kernel (tinygemm): a prompt of 2048 took 56 ms where that one
took 925, but decoding fell from 283 to 110 tok/s. So it is not used there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear

GROUP = 128
SMALL_GROUP = 32
"""For layers whose halves are no whole GROUPs."""


def group_of(module: torch.nn.Linear) -> int:
    """Inputs that share a scale."""
    return GROUP if module.in_features % (2 * GROUP) == 0 else SMALL_GROUP


class FourBitLinear(torch.nn.Module):  # type: ignore[misc]
    """y = x · Wᵀ with W = q · scale + offset, one scale and offset for each group of inputs of an output.

    A byte holds a weight of the first half of the inputs below one of the second half: both are read once.
    """

    packed: Any
    scale: Any
    offset: Any

    def __init__(self, module: torch.nn.Linear, device: Any) -> None:
        super().__init__()
        inputs, outputs, dtype = module.in_features, module.out_features, module.weight.dtype
        groups = inputs // group_of(module)
        self.register_buffer("packed", torch.empty(outputs, inputs // 2, dtype=torch.uint8, device=device))
        self.register_buffer("scale", torch.empty(outputs, groups, dtype=dtype, device=device))
        self.register_buffer("offset", torch.empty(outputs, groups, dtype=dtype, device=device))
        self.bias = module.bias

    @staticmethod
    def fits(module: torch.nn.Linear) -> bool:
        """Whether both halves of the inputs are whole groups."""
        return bool(module.in_features % (2 * group_of(module)) == 0)

    @classmethod
    def from_linear(cls, module: torch.nn.Linear, device: Any) -> FourBitLinear:
        """Quantise the weights of `module`, by torchao's choice of scale and offset."""
        from torchao.quantization.quant_primitives import (
            MappingType,
            _choose_qparams_affine_tinygemm,
            _quantize_affine_tinygemm,
        )

        weight = module.weight.detach().to(device)
        group = group_of(module)
        block, limits = (1, group), (torch.int32, 0, 15)
        scale, middle = _choose_qparams_affine_tinygemm(
            weight,
            MappingType.ASYMMETRIC,
            block,
            *limits,
            scale_dtype=weight.dtype,
            zero_point_dtype=weight.dtype,
        )
        values = _quantize_affine_tinygemm(weight, block, scale, middle, *limits).to(torch.uint8)
        made = cls(module, device)
        low, high = values.chunk(2, 1)
        made.packed.copy_(low | high << 4)
        made.scale.copy_(scale)
        made.offset.copy_(middle - scale * 8)  # tinygemm's zero stands for the middle of the range
        return made

    def forward(self, x: Any) -> Any:
        """The product, half by half."""
        left, right = x.chunk(2, -1)
        scales, offsets = self.scale.chunk(2, 1), self.offset.chunk(2, 1)
        low = self._unpack(self.packed & 15, scales[0], offsets[0])
        high = self._unpack(self.packed >> 4, scales[1], offsets[1])
        y = linear(left, low) + linear(right, high)
        return y if self.bias is None else y + self.bias

    def _unpack(self, values: Any, scale: Any, offset: Any) -> Any:
        grouped = values.unflatten(1, (scale.shape[1], -1)).to(scale.dtype)
        return (grouped * scale[..., None] + offset[..., None]).flatten(1)


def replace_linear(model: torch.nn.Module, keep: Any, device: Any = None) -> None:
    """Put four-bit layers in place of the linear ones of `model`, `keep` excepted.

    Args:
        device: where to quantise; None for empty layers on the device of the model.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(child, torch.nn.Linear) or child is keep or not FourBitLinear.fits(child):
                continue
            if device is None:
                made = FourBitLinear(child, child.weight.device)
            else:
                made = FourBitLinear.from_linear(child, device)
            setattr(parent, name, made)
