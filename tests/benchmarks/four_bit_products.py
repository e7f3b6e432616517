"""Our kernel for one token with 4-bit weights against PyTorch's, on one GPU: `python -m …four_bit_products`.

Prints the microseconds of each product of a layer, and what reading its weights takes at the bandwidth of a
copy. Each kernel runs from a CUDA graph of 40 products over several copies of the weights, larger together
than the L2 cache; median of 9 rounds in which each kernel runs once.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from engines.backends.compiled.four_bit_product import four_bit_product
from engines.backends.compiled.four_bits import GROUP, pack
from tests.benchmarks.gpu_engine import copy_bandwidth

PRODUCTS = {
    "Llama-3.1-8B q/k/v": (6144, 4096),
    "Llama-3.1-8B o": (4096, 4096),
    "Llama-3.1-8B gate/up": (28672, 4096),
    "Llama-3.1-8B down": (4096, 14336),
    "Llama-2-7B gate/up": (22016, 4096),
    "Llama-2-7B down": (4096, 11008),
}
"""Outputs and inputs of each product."""
CACHE_BYTES, REPEATS, ROUNDS = 240_000_000, 40, 9
TILES = 8
"""Tiles of 16 inputs that a thread of PyTorch's kernel reads together."""


def captured(product: Callable[[int], object], copies: int) -> Callable[[], float]:
    """Capture REPEATS products; return a function that runs them and returns microseconds for one."""
    product(0)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for index in range(REPEATS):
            product(index % copies)

    def run() -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        return float(begin.elapsed_time(end)) / REPEATS * 1000

    return run


def measure(outputs: int, inputs: int) -> tuple[float, float]:
    """Return the microseconds of our kernel and of PyTorch's."""
    copies = max(2, CACHE_BYTES // (outputs * inputs // 2))
    values = torch.randint(0, 16, (outputs, inputs), dtype=torch.uint8, device="cuda")
    x = torch.randn(1, inputs, device="cuda").bfloat16()
    scales = torch.rand(outputs, inputs // GROUP, 2, device="cuda").bfloat16()
    words = [pack(values) for _ in range(copies)]
    pairs = (values[:, ::2] << 4 | values[:, 1::2]).contiguous()
    tiles: list[Any] = [torch.ops.aten._convert_weight_to_int4pack(pairs, TILES) for _ in range(copies)]
    transposed = scales.transpose(0, 1).contiguous()
    kernels = (
        captured(lambda index: four_bit_product(x, words[index], scales), copies),
        captured(
            lambda index: torch.ops.aten._weight_int4pack_mm(x, tiles[index], GROUP, transposed), copies
        ),
    )
    rounds = [[run() for run in kernels] for _ in range(ROUNDS)]
    ours, theirs = (median(column) for column in zip(*rounds, strict=True))
    return ours, theirs


def main() -> None:
    """Print a table."""
    copy = copy_bandwidth()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, copy {copy / 1e12:.2f} TB/s\n")
    print("| product | outputs, inputs | ours µs | PyTorch's µs | ratio | at the copy's bandwidth µs |")
    print("|---|---|---:|---:|---:|---:|")
    for name, (outputs, inputs) in PRODUCTS.items():
        ours, theirs = measure(outputs, inputs)
        least = (outputs * inputs / 2 + outputs * inputs / GROUP * 4) / copy * 1e6
        sizes = f"{outputs}, {inputs}"
        print(f"| {name} | {sizes} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} | {least:.1f} |")


if __name__ == "__main__":
    main()
