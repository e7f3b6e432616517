"""Linear layers with 4-bit weights: torchao's scales, in one layout for the CPU and one for CUDA.

On the CPU torchao 0.18 has no kernel for 4-bit weights. On CUDA PyTorch's is slow for prompts: on one H200 a
prompt of 2048 tokens took 925 ms with it and 56 ms with unpacked weights. So both layouts are unpacked for
prefill, and the CUDA layout has a kernel of its own for decode.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear, pad

GROUP = 128
SMALL_GROUP = 32
"""Group size for layers whose halves are not multiples of GROUP."""


def quantise(weight: Any, group: int) -> tuple[Any, Any, Any]:
    """Quantise a weight [outputs, inputs] to 4 bits, asymmetrically, in groups of inputs.

    A weight is (value - 8) * scale + zero.

    Returns:
        Values 0 to 15 (uint8, the shape of `weight`), and scale and zero, each [outputs, groups].
    """
    from torchao.quantization.quant_primitives import (
        MappingType,
        _choose_qparams_affine_tinygemm,
        _quantize_affine_tinygemm,
    )

    block, limits = (1, group), (torch.int32, 0, 15)
    scale, zero = _choose_qparams_affine_tinygemm(
        weight,
        MappingType.ASYMMETRIC,
        block,
        *limits,
        scale_dtype=weight.dtype,
        zero_point_dtype=weight.dtype,
    )
    values = _quantize_affine_tinygemm(weight, block, scale, zero, *limits).to(torch.uint8)
    shape = (weight.shape[0], -1)  # torchao leaves out a dimension of 1
    return values, scale.view(shape), zero.view(shape)


class CpuFourBitLinear(torch.nn.Module):  # type: ignore[misc]
    """y = x · Wᵀ with W = q · scale + offset; scale and offset are per output and group of inputs.

    Each byte stores a weight of the first half of the inputs in the low nibble and one of the second half in
    the high nibble, so that every byte is read once.
    """

    packed: Any
    scale: Any
    offset: Any

    def __init__(self, module: torch.nn.Linear, device: Any) -> None:
        super().__init__()
        inputs, outputs, dtype = module.in_features, module.out_features, module.weight.dtype
        groups = inputs // self.group_of(module)
        self.register_buffer("packed", torch.empty(outputs, inputs // 2, dtype=torch.uint8, device=device))
        self.register_buffer("scale", torch.empty(outputs, groups, dtype=dtype, device=device))
        self.register_buffer("offset", torch.empty(outputs, groups, dtype=dtype, device=device))
        self.bias = module.bias

    @staticmethod
    def group_of(module: torch.nn.Linear) -> int:
        """Return the group size: inputs that share a scale."""
        return GROUP if module.in_features % (2 * GROUP) == 0 else SMALL_GROUP

    @classmethod
    def fits(cls, module: torch.nn.Linear) -> bool:
        """Return whether both halves of the inputs are multiples of the group size."""
        return bool(module.in_features % (2 * cls.group_of(module)) == 0)

    def fill(self, weight: Any) -> None:
        """Quantise `weight` [outputs, inputs] and store it."""
        values, scale, zero = quantise(weight, weight.shape[1] // self.scale.shape[1])
        low, high = values.chunk(2, 1)
        self.packed.copy_(low | high << 4)
        self.scale.copy_(scale)
        self.offset.copy_(zero - scale * 8)

    def forward(self, x: Any) -> Any:
        """Return x · Wᵀ + bias, computed for each half of the inputs."""
        left, right = x.chunk(2, -1)
        scales, offsets = self.scale.chunk(2, 1), self.offset.chunk(2, 1)
        low = self._unpack(self.packed & 15, scales[0], offsets[0])
        high = self._unpack(self.packed >> 4, scales[1], offsets[1])
        y = linear(left, low) + linear(right, high)
        return y if self.bias is None else y + self.bias

    def _unpack(self, values: Any, scale: Any, offset: Any) -> Any:
        grouped = values.unflatten(1, (scale.shape[1], -1)).to(scale.dtype)
        return (grouped * scale[..., None] + offset[..., None]).flatten(1)


class CudaFourBitLinear(torch.nn.Module):  # type: ignore[misc]
    """The same product, stored for `four_bit_product`, our kernel for one token.

    `words` is int32 [outputs, groups * GROUP / 8]; `scales` is [outputs, groups, 2], with scale and zero. The
    last group is filled with zeros if the inputs do not fill it.
    """

    words: Any
    scales: Any

    def __init__(self, module: torch.nn.Linear, device: Any) -> None:
        super().__init__()
        self._inputs, outputs = module.in_features, module.out_features
        groups = -(-self._inputs // GROUP)
        words = torch.empty(outputs, groups * GROUP // 8, dtype=torch.int32, device=device)
        scales = torch.empty(outputs, groups, 2, dtype=torch.bfloat16, device=device)
        self.register_buffer("words", words)
        self.register_buffer("scales", scales)
        self.bias = module.bias

    @staticmethod
    def fits(module: torch.nn.Linear) -> bool:
        """Return whether the outputs are a multiple of the four that a program of the kernel computes."""
        return bool(module.out_features % 4 == 0)

    def fill(self, weight: Any) -> None:
        """Quantise `weight` [outputs, inputs] and store it."""
        values, scale, zero = quantise(pad(weight, (0, -self._inputs % GROUP)), GROUP)
        self.words.copy_(pack(values))
        self.scales.copy_(torch.stack((scale, zero), -1))

    def forward(self, x: Any) -> Any:
        """Return x · Wᵀ + bias, with the kernel for one token and unpacked weights for more."""
        if x.shape[-2] == 1:
            from engines.backends.compiled.four_bit_product import four_bit_product

            y = four_bit_product(x.reshape(1, -1), self.words, self.scales).view(*x.shape[:-1], -1)
        else:
            y = linear(x, self._weight())
        return y if self.bias is None else y + self.bias

    def _weight(self) -> Any:
        scale, zero = self.scales.unbind(-1)
        grouped = unpack(self.words).unflatten(1, (-1, GROUP)).to(scale.dtype) - 8
        return (grouped * scale[..., None] + zero[..., None]).flatten(1)[:, : self._inputs]


def pack(values: Any) -> Any:
    """Pack 4-bit values [outputs, inputs] into int32 words [outputs, inputs / 8].

    A group of 128 inputs is 16 words, so that a thread can read 32 weights of one group in 16 bytes. Nibble i
    of word j is the value of input 16 i + j of the group.
    """
    nibbles = values.to(torch.int32).unflatten(1, (-1, 8, GROUP // 8))
    words = nibbles[:, :, 0].clone()
    for place in range(1, 8):
        words |= nibbles[:, :, place] << (4 * place)
    return words.flatten(1)


def unpack(words: Any) -> Any:
    """Return the 4-bit values of `pack`, int32 [outputs, inputs]."""
    shifts = torch.arange(0, 32, 4, dtype=torch.int32, device=words.device)[:, None]
    return ((words.unflatten(1, (-1, 1, GROUP // 8)) >> shifts) & 15).flatten(1)
