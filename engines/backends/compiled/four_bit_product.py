"""The product of one token with 4-bit weights on CUDA, as a Triton kernel.

A program computes four outputs. Each of its threads keeps 64 inputs in registers for all of them, and reads
their weights in two times 16 bytes, each from one group, so that a scale is applied once for 32 weights. A
4-bit value becomes a float without a conversion: its bits are put behind the exponent of 2048 or 128, where
they stand in a shifted word, which gives 2048 + value or 128 + value. What that adds is subtracted with the
sum of the inputs.

`python -m tests.benchmarks.quantised_products` compares it with PyTorch's `_weight_int4pack_mm`.
"""

# ruff: noqa: N803 - constants of a kernel are written as Triton's own
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

from engines.backends.compiled.four_bits import GROUP

ROWS = 4
"""Outputs that a program computes."""
QUADS = 64
"""Reads of 16 bytes that a program makes at once for each output, two by each thread."""


@triton.jit
def _inputs(x, start, nibble: tl.constexpr, stored, inputs, FULL: tl.constexpr):
    """Return the inputs that belong to one nibble of the words that a thread reads, [QUADS, 4]."""
    place = start + 16 * nibble
    if not FULL:
        stored = stored & (place < inputs)
    return tl.load(x + place, mask=stored, other=0.0).to(tl.float32)


@triton.jit
def _lower(bits):
    """Return 2048 + the value in bits 12 to 15 of each word."""
    return ((bits & 0x0000F000) | 0x45000000).to(tl.float32, bitcast=True)


@triton.jit
def _upper(bits):
    """Return 128 + the value in bits 16 to 19 of each word."""
    return ((bits & 0x000F0000) | 0x43000000).to(tl.float32, bitcast=True)


@triton.jit
def _row(words, scales, word, group, stored, x0, x1, x2, x3, x4, x5, x6, x7, total, excess):
    """Return what each thread adds to one output, [QUADS]."""
    packed = tl.load(words + word, mask=stored, other=0, eviction_policy="evict_first")
    sums = _lower(packed << 12) * x0
    sums += _upper(packed << 12) * x1
    sums += _lower(packed << 4) * x2
    sums += _upper(packed << 4) * x3
    sums += _lower(packed >> 4) * x4
    sums += _upper(packed >> 4) * x5
    sums += _lower(packed >> 12) * x6
    sums += _upper(packed >> 12) * x7
    pair = tl.load(scales + group)
    scale = (pair << 16).to(tl.float32, bitcast=True)  # bf16 is the upper half of a float
    zero = (pair & -65536).to(tl.float32, bitcast=True)
    return scale * (tl.sum(sums, 1) - excess) + zero * total


@triton.jit
def _kernel(x, words, scales, y, inputs, ROWS: tl.constexpr, QUADS: tl.constexpr, FULL: tl.constexpr):
    first = tl.program_id(0) * ROWS
    groups = tl.cdiv(inputs, 128)
    stride = groups * 16
    words += first * stride
    scales += first * groups
    row0 = tl.zeros((QUADS,), tl.float32)
    row1 = tl.zeros((QUADS,), tl.float32)
    row2 = tl.zeros((QUADS,), tl.float32)
    row3 = tl.zeros((QUADS,), tl.float32)
    for begin in range(0, groups * 4, QUADS):
        quad = begin + tl.arange(0, QUADS)
        inside = quad < groups * 4
        quad = tl.where(inside, quad, 0)
        stored = inside[:, None]
        g = quad // 4
        column = tl.arange(0, 4)[None, :]
        start = (g * 128 + quad % 4 * 4)[:, None] + column
        x0 = _inputs(x, start, 0, stored, inputs, FULL)
        x1 = _inputs(x, start, 1, stored, inputs, FULL)
        x2 = _inputs(x, start, 2, stored, inputs, FULL)
        x3 = _inputs(x, start, 3, stored, inputs, FULL)
        x4 = _inputs(x, start, 4, stored, inputs, FULL)
        x5 = _inputs(x, start, 5, stored, inputs, FULL)
        x6 = _inputs(x, start, 6, stored, inputs, FULL)
        x7 = _inputs(x, start, 7, stored, inputs, FULL)
        lower = tl.sum(x0 + x2 + x4 + x6, 1)
        upper = tl.sum(x1 + x3 + x5 + x7, 1)
        sum_ = lower + upper
        over = 2048.0 * lower + 128.0 * upper + 8.0 * sum_
        w0 = (quad * 4)[:, None] + column
        w1, w2, w3 = w0 + stride, w0 + 2 * stride, w0 + 3 * stride
        g1, g2, g3 = g + groups, g + 2 * groups, g + 3 * groups
        row0 += _row(words, scales, w0, g, stored, x0, x1, x2, x3, x4, x5, x6, x7, sum_, over)
        row1 += _row(words, scales, w1, g1, stored, x0, x1, x2, x3, x4, x5, x6, x7, sum_, over)
        row2 += _row(words, scales, w2, g2, stored, x0, x1, x2, x3, x4, x5, x6, x7, sum_, over)
        row3 += _row(words, scales, w3, g3, stored, x0, x1, x2, x3, x4, x5, x6, x7, sum_, over)
    kind = y.dtype.element_ty
    tl.store(y + first, tl.sum(row0, 0).to(kind))
    tl.store(y + first + 1, tl.sum(row1, 0).to(kind))
    tl.store(y + first + 2, tl.sum(row2, 0).to(kind))
    tl.store(y + first + 3, tl.sum(row3, 0).to(kind))


@torch.library.triton_op("trt_playground::four_bit_product", mutates_args={})
def four_bit_product(x: torch.Tensor, words: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Return x · Wᵀ for one token.

    Args:
        x: [1, inputs], bf16.
        words: [outputs, groups * 16], int32, as `four_bits.pack` returns them; a multiple of ROWS outputs.
        scales: [outputs, groups, 2], bf16: scale and zero of a weight (value - 8) * scale + zero.

    Returns:
        [1, outputs], bf16.
    """
    outputs, inputs = words.shape[0], x.shape[1]
    y = torch.empty((1, outputs), dtype=x.dtype, device=x.device)
    torch.library.wrap_triton(_kernel)[(outputs // ROWS,)](
        x,
        words,
        scales.view(torch.int32),
        y,
        inputs,
        ROWS=ROWS,
        QUADS=QUADS,
        FULL=inputs % GROUP == 0,
        num_warps=1,
    )
    return y
