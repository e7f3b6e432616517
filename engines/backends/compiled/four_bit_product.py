"""The product of one token with 4-bit weights on CUDA, as a Triton kernel.

Each thread reads 16 bytes of weights at once, all from one group, so that the scale of a group is applied once
for its 32 weights. A 4-bit value becomes a float without a conversion: its bits are put behind the exponent of
128, which gives 128 + value. What that adds is subtracted with the sum of the inputs.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

GROUP = 128
"""Inputs that share a scale and a zero."""
WORDS = GROUP // 8
"""32-bit words of a group. Nibble i of word j is the weight of input 16 i + j of the group."""
ROWS = 4
"""Outputs that a program computes."""
GROUPS = 32
"""Groups of each output that a program reads at once."""


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(
    x: Any,
    words: Any,
    scales: Any,
    y: Any,
    inputs: Any,
    outputs: Any,
    ROWS: tl.constexpr,
    GROUPS: tl.constexpr,
) -> None:
    first = tl.program_id(0) * ROWS
    output = (first + tl.arange(0, ROWS))[:, None, None, None]
    column = tl.arange(0, 4)[None, None, :, None] * 4 + tl.arange(0, 4)[None, None, None, :]
    groups = inputs // 128
    sums = tl.zeros((ROWS, GROUPS, 4), tl.float32)
    for start in range(0, groups, GROUPS):
        group = start + tl.arange(0, GROUPS)[None, :, None, None]
        stored = (group < groups) & (output < outputs)
        packed = tl.load(words + (output * groups + group) * 16 + column, mask=stored, other=0)
        products = tl.zeros((ROWS, GROUPS, 4, 4), tl.float32)
        total = tl.zeros((1, GROUPS, 4, 4), tl.float32)
        for nibble in tl.static_range(8):
            if nibble < 4:
                bits = packed << (16 - 4 * nibble)
            else:
                bits = packed >> (4 * nibble - 16)
            value = ((bits & 0x000F0000) | 0x43000000).to(tl.float32, bitcast=True)  # 128 + the stored value
            place = group * 128 + nibble * 16 + column
            part = tl.load(x + place, mask=group < groups, other=0.0).to(tl.float32)
            products += value * part
            total += part
        pairs = tl.load(scales + output * groups + group, mask=stored, other=0)
        scale = (pairs << 16).to(tl.float32, bitcast=True)
        zero = (pairs & -65536).to(tl.float32, bitcast=True)
        scale = tl.reshape(scale, (ROWS, GROUPS, 1))
        zero = tl.reshape(zero, (ROWS, GROUPS, 1))
        sums += scale * tl.sum(products, 3) + (zero - 136.0 * scale) * tl.sum(total, 3)
    result = tl.sum(tl.sum(sums, 2), 1)
    place = first + tl.arange(0, ROWS)
    tl.store(y + place, result.to(y.dtype.element_ty), mask=place < outputs)


@torch.library.triton_op("trt_playground::four_bit_product", mutates_args={})
def four_bit_product(x: torch.Tensor, words: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Return x · Wᵀ for one token.

    Args:
        x: [1, inputs], bf16.
        words: [outputs, inputs / 8], int32.
        scales: [outputs, inputs / GROUP, 2], bf16: scale and zero of a weight (value - 8) * scale + zero.

    Returns:
        [1, outputs], the type of `x`.
    """
    outputs, inputs = words.shape[0], x.shape[1]
    y = torch.empty((1, outputs), dtype=x.dtype, device=x.device)
    pairs = scales.view(torch.int32)
    torch.library.wrap_triton(_kernel)[(triton.cdiv(outputs, ROWS),)](
        x, words, pairs, y, inputs, outputs, ROWS=ROWS, GROUPS=GROUPS, num_warps=4
    )
    return y
