"""Our kernels for one token with 4-bit and 8-bit weights against PyTorch's: `python -m …quantised_products`.

Prints the microseconds of each product of a layer, and what reading its weights takes at the bandwidth of a
copy. Each kernel runs from a CUDA graph of 40 products over several copies of the weights, larger together
than the L2 cache; median of 9 rounds in which each kernel runs once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from torch.nn.functional import linear

from engines.backends.compiled.eight_bit_product import eight_bit_product
from engines.backends.compiled.eight_bits import Kind, quantise
from engines.backends.compiled.four_bit_product import four_bit_product
from engines.backends.compiled.four_bits import GROUP, pack
from engines.backends.compiled.regional import DECODE_OPTIONS
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


def medians(*kernels: Callable[[int], object], copies: int) -> list[float]:
    """Return the microseconds of each kernel, run in turn."""
    runs = [captured(kernel, copies) for kernel in kernels]
    rounds = [[run() for run in runs] for _ in range(ROUNDS)]
    return [median(column) for column in zip(*rounds, strict=True)]


def four_bits(outputs: int, inputs: int) -> tuple[list[float], int]:
    """Return the microseconds of our kernel and of PyTorch's, and the bytes of the weights."""
    copies = max(2, CACHE_BYTES // (outputs * inputs // 2))
    values = torch.randint(0, 16, (outputs, inputs), dtype=torch.uint8, device="cuda")
    x = torch.randn(1, inputs, device="cuda").bfloat16()
    scales = torch.rand(outputs, inputs // GROUP, 2, device="cuda").bfloat16()
    words = [pack(values) for _ in range(copies)]
    pairs = (values[:, ::2] << 4 | values[:, 1::2]).contiguous()
    tiles: list[Any] = [torch.ops.aten._convert_weight_to_int4pack(pairs, TILES) for _ in range(copies)]
    transposed = scales.transpose(0, 1).contiguous()
    times = medians(
        lambda index: four_bit_product(x, words[index], scales),
        lambda index: torch.ops.aten._weight_int4pack_mm(x, tiles[index], GROUP, transposed),
        copies=copies,
    )
    return times, outputs * inputs // 2 + outputs * inputs // GROUP * 4


def eight_bits(outputs: int, inputs: int, kind: Kind) -> tuple[list[float], int]:
    """Return the same for 8 bits, where PyTorch's kernel is what Inductor generates and tunes."""
    copies = max(2, CACHE_BYTES // (outputs * inputs))
    x = torch.randn(1, inputs, device="cuda").bfloat16()
    weights = [torch.randn(outputs, inputs, device="cuda").bfloat16() for _ in range(copies)]
    stored = [quantise(weight, kind) for weight in weights]
    del weights
    torch._dynamo.reset()  # it would refuse to compile for one shape too many

    def plain(x: Any, values: Any, scales: Any) -> Any:
        return linear(x.as_strided(x.shape, x.stride()), (values.float() * scales[:, None]).to(x.dtype))

    theirs = torch.compile(plain, options=DECODE_OPTIONS, fullgraph=True, dynamic=False)
    times = medians(
        lambda index: eight_bit_product(x, *stored[index]),
        lambda index: theirs(x, *stored[index]),
        copies=copies,
    )
    return times, outputs * inputs + outputs * 4


def main() -> None:
    """Print a table."""
    copy = copy_bandwidth()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, copy {copy / 1e12:.2f} TB/s\n")
    print("| weights | product | outputs, inputs | ours µs | PyTorch's µs | ratio | at a copy's speed µs |")
    print("|---|---|---|---:|---:|---:|---:|")
    kernels = {
        "int4": four_bits,
        "int8": partial(eight_bits, kind="int8"),
        "fp8": partial(eight_bits, kind="fp8"),
    }
    for weights, measure in kernels.items():
        for name, (outputs, inputs) in PRODUCTS.items():
            (ours, theirs), read = measure(outputs, inputs)
            cells = f"{weights} | {name} | {outputs}, {inputs} | {ours:.1f} | {theirs:.1f}"
            print(f"| {cells} | {ours / theirs:.2f} | {read / copy * 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
