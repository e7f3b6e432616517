"""The sum of what the ranks computed for one token, as a Triton kernel that writes to the other GPUs' memory.

Each rank writes its part to a place of its own in the memory of every other rank, then waits for theirs in
its own memory, and adds. A value of 32 bits travels with the number of the sum in one word of 64 bits, which
GPUs write at once, so that no barrier is needed: NCCL's protocol LL. Two places alternate; a rank that writes
to one again has received the sum after it from all others, who have read that place before.
"""

# ruff: noqa: N803 - constants of a kernel are written as Triton's own
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

BLOCK = 256
"""Values of 32 bits that a program adds. All programs must run at the same time."""


@triton.jit
def _kernel(
    part, total, places, counts, words, PAIRS: tl.constexpr, RANK: tl.constexpr, RANKS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    count = tl.load(counts + program) + 1
    mark = count & 0x7FFFFFFF
    offsets = program * BLOCK + tl.arange(0, BLOCK)
    inside = offsets < words
    own = tl.load(part + offsets, mask=inside, other=0)
    marked = (mark << 32) | (own.to(tl.int64) & 0xFFFFFFFF)
    first = (count % 2) * RANKS
    for rank in tl.static_range(RANKS):
        if rank != RANK:
            place = tl.load(places + rank).to(tl.pointer_type(tl.int64)) + (first + RANK) * words
            tl.store(place + offsets, marked, mask=inside)
    lower = tl.zeros((BLOCK,), tl.float32)
    upper = tl.zeros((BLOCK,), tl.float32)
    for rank in tl.static_range(RANKS):
        if rank == RANK:
            word = own
        else:
            place = tl.load(places + RANK).to(tl.pointer_type(tl.int64)) + (first + rank) * words
            found = tl.load(place + offsets, mask=inside, other=0, volatile=True)
            while tl.sum((inside & ((found >> 32) != mark)).to(tl.int32)) > 0:
                found = tl.load(place + offsets, mask=inside, other=0, volatile=True)
            word = found.to(tl.int32)
        if PAIRS:  # of bf16, which are the upper halves of floats
            lower += (word << 16).to(tl.float32, bitcast=True)
            upper += (word & -65536).to(tl.float32, bitcast=True)
        else:
            lower += word.to(tl.float32, bitcast=True)
    if PAIRS:
        low = lower.to(tl.bfloat16).to(tl.int16, bitcast=True).to(tl.int32) & 0xFFFF
        high = upper.to(tl.bfloat16).to(tl.int16, bitcast=True).to(tl.int32) << 16
        tl.store(total + offsets, low | high, mask=inside)
    else:
        tl.store(total + offsets, lower.to(tl.int32, bitcast=True), mask=inside)
    tl.store(counts + program, count)


# To the compiler it changes nothing: a copy of `places`' memory, which it may make of an argument that is
# changed, is not what the other ranks write to.
@torch.library.custom_op("trt_playground::sum_of_one_token", mutates_args=())
def sum_of_one_token(
    part: torch.Tensor, places: torch.Tensor, counts: torch.Tensor, rank: int
) -> torch.Tensor:
    """Return the sum of the ranks' parts, the same bits on each rank.

    Args:
        part: [..., values], bf16 (an even number of values) or fp32.
        places: [ranks], int64: addresses of the memory of each rank, of int64 [2, ranks, 32-bit words].
        counts: [programs], int64: how many sums each program has computed.
        rank: this one.
    """
    total = torch.empty_like(part)
    words = part.numel() * part.element_size() // 4
    _kernel[(counts.numel(),)](
        part.view(torch.int32),
        total.view(torch.int32),
        places,
        counts,
        words,
        PAIRS=part.dtype == torch.bfloat16,
        RANK=rank,
        RANKS=places.numel(),
        BLOCK=BLOCK,
    )
    return total


@sum_of_one_token.register_fake
def _(part: torch.Tensor, places: torch.Tensor, counts: torch.Tensor, rank: int) -> torch.Tensor:
    del places, counts, rank
    return torch.empty_like(part)
