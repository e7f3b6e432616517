"""Linear layers with 4-bit weights: torchao's scales, in one layout for the CPU and one for CUDA.

On the CPU torchao 0.18 has no kernel for 4-bit weights. On CUDA PyTorch's tinygemm kernel is the fastest one
found for decode but slow for prefill: on one H200 a prompt of 2048 tokens took 925 ms with it and 56 ms with
unpacked weights. So both layouts are unpacked for prefill, and only the CUDA layout uses a kernel, for
decode.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear

from engines.errors import EngineError

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
    return _quantize_affine_tinygemm(weight, block, scale, zero, *limits).to(torch.uint8), scale, zero


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


TILES = 8
"""Tiles of 16 inputs that a thread of PyTorch's kernel reads together (its `innerKTiles`)."""


class CudaFourBitLinear(torch.nn.Module):  # type: ignore[misc]
    """The same product, stored in the layout of `_weight_int4pack_mm`, PyTorch's kernel for a few tokens.

    `tiles` is int32 [outputs / 8, inputs / 128, 32 threads, 4]; `scales` is [groups, outputs, 2], with scale
    and zero.
    """

    tiles: Any
    scales: Any

    def __init__(self, module: torch.nn.Linear, device: Any) -> None:
        super().__init__()
        inputs, outputs = module.in_features, module.out_features
        shape = (outputs // 8, inputs // (16 * TILES), 32, TILES // 2)
        self.register_buffer("tiles", torch.empty(shape, dtype=torch.int32, device=device))
        scales = torch.empty(inputs // GROUP, outputs, 2, dtype=torch.bfloat16, device=device)
        self.register_buffer("scales", scales)
        self.bias = module.bias

    @staticmethod
    def fits(module: torch.nn.Linear) -> bool:
        """Return whether inputs and outputs are multiples of the tile size."""
        return bool(module.in_features % GROUP == 0 and module.out_features % 8 == 0)

    def fill(self, weight: Any) -> None:
        """Quantise `weight` [outputs, inputs] and store it.

        Raises:
            EngineError: `unsupported-precision`: this PyTorch packs in another layout than `values` unpacks.
        """
        values, scale, zero = quantise(weight, GROUP)
        pairs = values[:, ::2] << 4 | values[:, 1::2]
        self.tiles.copy_(torch.ops.aten._convert_weight_to_int4pack(pairs.contiguous(), TILES))
        self.scales.copy_(torch.stack((scale, zero), -1).transpose(0, 1))
        if not torch.equal(self.values(), values):
            raise EngineError(
                "unsupported-precision",
                f"PyTorch {torch.__version__} packs 4-bit weights in an unknown layout.",
                "Choose INT8 or FP8, or another version of PyTorch.",
            )

    def forward(self, x: Any) -> Any:
        """Return x · Wᵀ + bias, with the kernel for one token and unpacked weights for more."""
        if x.shape[-2] == 1:
            rows = x.reshape(-1, x.shape[-1])
            y = torch.ops.aten._weight_int4pack_mm(rows, self.tiles, GROUP, self.scales)
            y = y.view(*x.shape[:-1], -1)
        else:
            y = linear(x, self._weight())
        return y if self.bias is None else y + self.bias

    def values(self) -> Any:
        """Unpack the quantised values, uint8 [outputs, inputs].

        A tile is 8 outputs by 16 inputs. Thread t of 32 stores, for output t / 4 and two tiles, the inputs
        2 (t % 4), the next one, and both plus 8. The three bits of a nibble's index in its word mean: second
        of the pair, second tile, plus 8.
        """
        shifts = torch.arange(0, 32, 4, dtype=torch.int32, device=self.tiles.device)
        nibbles = (self.tiles[..., None] >> shifts) & 15
        output_tiles, input_blocks = nibbles.shape[:2]
        # output tile, input block, output, column pair, tile pair | second of pair, second tile, plus 8
        parts = nibbles.view(output_tiles, input_blocks, 8, 4, TILES // 2, 2, 2, 2)
        values = parts.permute(0, 2, 1, 4, 6, 7, 3, 5).reshape(output_tiles * 8, input_blocks * 16 * TILES)
        return values.to(torch.uint8)

    def _weight(self) -> Any:
        scale, zero = self.scales.transpose(0, 1).unbind(-1)
        grouped = self.values().unflatten(1, (-1, GROUP)).to(scale.dtype) - 8
        return (grouped * scale[..., None] + zero[..., None]).flatten(1)


def replace_linear(model: torch.nn.Module, keep: Any, device: str, fill: bool = True) -> None:
    """Replace the linear layers of `model` with 4-bit layers, except `keep`.

    Args:
        device: Where the layers are quantised and stored; it decides the layout.
        fill: Whether to quantise the weights; otherwise the layers stay empty, to be loaded.
    """
    kind = CudaFourBitLinear if device.startswith("cuda") else CpuFourBitLinear
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(child, torch.nn.Linear) or child is keep or not kind.fits(child):
                continue
            layer = kind(child, device if fill else child.weight.device)
            if fill:
                layer.fill(child.weight.detach().to(device))
            setattr(parent, name, layer)
