"""The product of one token with 8-bit weights on CUDA, as a Triton kernel.

A program computes some outputs, and reads the inputs once for all of them. Inductor's own kernels for such a
product are chosen at each build and read the weights at 60 % of the bandwidth.

`python -m tests.benchmarks.quantised_products` compares it with them.
"""

# ruff: noqa: N803 - constants of a kernel are written as Triton's own
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

ROWS = 2
"""Outputs that a program computes."""
COLUMNS = 1024
"""Inputs that a program reads in one step of its loop."""
WARPS = 1


@triton.jit
def _kernel(x, values, scales, y, inputs, outputs, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    first = tl.program_id(0) * ROWS
    row = tl.minimum(first + tl.arange(0, ROWS), outputs - 1)
    sums = tl.zeros((ROWS, COLUMNS), tl.float32)
    for begin in range(0, inputs, COLUMNS):
        column = begin + tl.arange(0, COLUMNS)
        inside = column < inputs
        some = tl.load(x + column, mask=inside, other=0.0).to(tl.float32)
        place = row[:, None] * inputs + column[None, :]
        read = tl.load(values + place, mask=inside[None, :], other=0.0, eviction_policy="evict_first")
        sums += read.to(tl.float32) * some[None, :]
    total = tl.sum(sums, 1) * tl.load(scales + row)
    tl.store(y + row, total.to(y.dtype.element_ty))


@torch.library.triton_op("trt_playground::eight_bit_product", mutates_args={})
def eight_bit_product(x: torch.Tensor, values: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Return x · Wᵀ for one token.

    Args:
        x: [1, inputs], bf16.
        values: [outputs, inputs], int8 or float8_e4m3fn.
        scales: [outputs], fp32: a weight is its value times the scale of its output.

    Returns:
        [1, outputs], bf16.
    """
    outputs, inputs = values.shape
    y = torch.empty((1, outputs), dtype=x.dtype, device=x.device)
    torch.library.wrap_triton(_kernel)[(triton.cdiv(outputs, ROWS),)](
        x, values, scales, y, inputs, outputs, ROWS=ROWS, COLUMNS=COLUMNS, num_warps=WARPS
    )
    return y
