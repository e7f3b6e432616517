"""Linear layers on CUDA with 8-bit weights: torchao's values and scales, with our kernel for decode.

Inductor's own products of torchao's tensors read 8-bit weights at 60 % of the bandwidth.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch.nn.functional import linear

Kind = Literal["int8", "fp8"]
TYPES = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}


def quantise(weight: Any, kind: Kind) -> tuple[Any, Any]:
    """Quantise a weight [outputs, inputs] to 8 bits, symmetrically, with one scale for each output.

    Returns:
        Values, int8 or float8_e4m3fn, and scales, fp32 [outputs]; a weight is their product.
    """
    from torchao.quantization import Float8Tensor, IntxUnpackedToInt8Tensor

    weight = weight.float()  # for scales in fp32
    if kind == "fp8":
        stored = Float8Tensor.from_hp(weight)
    else:
        stored = IntxUnpackedToInt8Tensor.from_hp(weight, (1, weight.shape[1]), torch.int8)
    return stored.qdata, stored.scale.flatten()


class EightBitLinear(torch.nn.Module):  # type: ignore[misc]
    """y = x · Wᵀ with a weight that is `values` [outputs, inputs] times `scales` [outputs]."""

    values: Any
    scales: Any

    def __init__(self, module: torch.nn.Linear, device: Any, kind: Kind) -> None:
        super().__init__()
        self._kind: Kind = kind
        shape = (module.out_features, module.in_features)
        self.register_buffer("values", torch.empty(shape, dtype=TYPES[kind], device=device))
        self.register_buffer("scales", torch.empty(shape[0], dtype=torch.float32, device=device))
        self.bias = module.bias

    def fill(self, weight: Any) -> None:
        """Quantise `weight` [outputs, inputs] and store it."""
        values, scales = quantise(weight, self._kind)
        self.values.copy_(values)
        self.scales.copy_(scales)

    def forward(self, x: Any) -> Any:
        """Return x · Wᵀ + bias, with the kernel for one token and unpacked weights for more."""
        if x.shape[-2] == 1:
            from engines.backends.compiled.eight_bit_product import eight_bit_product

            y = eight_bit_product(x.reshape(1, -1), self.values, self.scales).view(*x.shape[:-1], -1)
        else:
            y = linear(x, (self.values.float() * self.scales[:, None]).to(x.dtype))
        return y if self.bias is None else y + self.bias
