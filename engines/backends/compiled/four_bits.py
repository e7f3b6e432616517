"""Linear layers of four bits a weight: torchao's choice of scales, in a layout for the CPU and one for CUDA.

On the CPU torchao 0.18 has no kernel for them. On CUDA PyTorch's own kernel (tinygemm) is the fastest found
for one token, but not for prompts: on one H200 a prompt of 2048 tokens took 925 ms through it, and 56 ms
through unpacked weights. So both layouts are unpacked for prompts, and the one for CUDA has its kernel too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear

from engines.errors import EngineError

GROUP = 128
SMALL_GROUP = 32
"""For layers whose halves are no whole GROUPs."""


def quantise(weight: Any, group: int) -> tuple[Any, Any, Any]:
    """Values of 0 to 15 (a byte each, shape of `weight`), and scale and middle of each group of a row.

    A weight is (value - 8) * scale + middle.
    """
    from torchao.quantization.quant_primitives import (
        MappingType,
        _choose_qparams_affine_tinygemm,
        _quantize_affine_tinygemm,
    )

    block, limits = (1, group), (torch.int32, 0, 15)
    scale, middle = _choose_qparams_affine_tinygemm(
        weight,
        MappingType.ASYMMETRIC,
        block,
        *limits,
        scale_dtype=weight.dtype,
        zero_point_dtype=weight.dtype,
    )
    return _quantize_affine_tinygemm(weight, block, scale, middle, *limits).to(torch.uint8), scale, middle


class CpuFourBitLinear(torch.nn.Module):  # type: ignore[misc]
    """y = x · Wᵀ with W = q · scale + offset, one scale and offset for each group of inputs of an output.

    A byte holds a weight of the first half of the inputs below one of the second half: both are read once.
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
        """Inputs that share a scale."""
        return GROUP if module.in_features % (2 * GROUP) == 0 else SMALL_GROUP

    @classmethod
    def fits(cls, module: torch.nn.Linear) -> bool:
        """Whether both halves of the inputs are whole groups."""
        return bool(module.in_features % (2 * cls.group_of(module)) == 0)

    def fill(self, weight: Any) -> None:
        """Quantise `weight`."""
        values, scale, middle = quantise(weight, weight.shape[1] // self.scale.shape[1])
        low, high = values.chunk(2, 1)
        self.packed.copy_(low | high << 4)
        self.scale.copy_(scale)
        self.offset.copy_(middle - scale * 8)

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


TILES = 8
"""Tiles of 16 inputs that a thread of PyTorch's kernel reads at once."""


class CudaFourBitLinear(torch.nn.Module):  # type: ignore[misc]
    """The same product from the layout of `_weight_int4pack_mm`, PyTorch's kernel for a few tokens.

    `tiles` has int32 words of shape (outputs / 8, inputs / 128, 32 threads, 4); `scales` is of shape
    (groups, outputs, 2).
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
        """Whether inputs and outputs are whole tiles."""
        return bool(module.in_features % GROUP == 0 and module.out_features % 8 == 0)

    def fill(self, weight: Any) -> None:
        """Quantise `weight`.

        Raises:
            EngineError: this PyTorch packs in another layout than is unpacked here.
        """
        values, scale, middle = quantise(weight, GROUP)
        pairs = values[:, ::2] << 4 | values[:, 1::2]
        self.tiles.copy_(torch.ops.aten._convert_weight_to_int4pack(pairs.contiguous(), TILES))
        self.scales.copy_(torch.stack((scale, middle), -1).transpose(0, 1))
        if not torch.equal(self.values(), values):
            raise EngineError(
                "unsupported-precision",
                f"PyTorch {torch.__version__} packs four-bit weights in a layout that is not known here.",
                "Choose INT8 or FP8.",
            )

    def forward(self, x: Any) -> Any:
        """By the kernel for one token, by unpacked weights for more."""
        if x.shape[-2] == 1:
            rows = x.reshape(-1, x.shape[-1])
            y = torch.ops.aten._weight_int4pack_mm(rows, self.tiles, GROUP, self.scales)
            y = y.view(*x.shape[:-1], -1)
        else:
            y = linear(x, self._weight())
        return y if self.bias is None else y + self.bias

    def values(self) -> Any:
        """Each weight's four bits, (outputs, inputs).

        A tile is 8 outputs by 16 inputs. Thread t of 32 has output t / 4, and of two tiles the inputs
        2 (t % 4), the next one, and both again 8 further on. The three bits of a nibble's place say: second
        of the pair, second tile, 8 further on.
        """
        places = torch.arange(0, 32, 4, dtype=torch.int32, device=self.tiles.device)
        nibbles = (self.tiles[..., None] >> places) & 15
        high, wide = nibbles.shape[:2]
        # output tile, input block, output, column pair, tile pair | second of pair, second tile, 8 further
        parts = nibbles.view(high, wide, 8, 4, TILES // 2, 2, 2, 2)
        return parts.permute(0, 2, 1, 4, 6, 7, 3, 5).reshape(high * 8, wide * 16 * TILES).to(torch.uint8)

    def _weight(self) -> Any:
        scale, middle = self.scales.transpose(0, 1).unbind(-1)
        grouped = self.values().unflatten(1, (-1, GROUP)).to(scale.dtype) - 8
        return (grouped * scale[..., None] + middle[..., None]).flatten(1)


def replace_linear(model: torch.nn.Module, keep: Any, device: str, fill: bool = True) -> None:
    """Put four-bit layers in place of the linear ones of `model`, `keep` excepted.

    Args:
        device: where they lie and are quantised; it says which layout is used.
        fill: whether they take over the weights; else they are left empty, to be loaded.
    """
    kind = CudaFourBitLinear if device.startswith("cuda") else CpuFourBitLinear
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(child, torch.nn.Linear) or child is keep or not kind.fits(child):
                continue
            made = kind(child, device if fill else child.weight.device)
            if fill:
                made.fill(child.weight.detach().to(device))
            setattr(parent, name, made)
