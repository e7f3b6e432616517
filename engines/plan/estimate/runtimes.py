"""What each backend takes beside weights and KV cache: constants, each with where it was measured."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1_000_000


@dataclass(frozen=True)
class Runtime:
    """What a backend takes beside weights and KV cache, on one kind of device."""

    base: int
    """Bytes of the library itself, once loaded."""
    weight_copies: float
    """Bytes held for each byte of weights: above 1 where the library repacks and keeps both."""
    prefill_tokens: int | None
    """Tokens of a prompt computed at once; None for all of it."""
    build_base: int | None
    """Bytes of a build apart from tensors; None for a backend that builds nothing."""
    block_tokens: int
    """The KV cache grows in steps of so many tokens."""
    spare_blocks: int = 0
    """Blocks beyond those of the context."""
    reads_checkpoint: bool = False
    """Whether plain precisions are loaded from the checkpoint, though something is built for them."""


RUNTIMES: dict[tuple[str, str], Runtime] = {
    # torch and transformers after import: 331 MB. With 612 MB of fp32 weights 883 MB were resident.
    ("pytorch", "cpu"): Runtime(331 * MB, 1.0, None, None, 1),
    # CUDA context and cuBLAS: a process took 614 MB more of an H200 than torch had reserved.
    ("pytorch", "cuda"): Runtime(650 * MB, 1.0, None, None, 1),
    # Resident with 499, 249, 150 and 114 MB of weights (fp32, bf16, int8, int4): 915, 737, 611 and 587 MB,
    # within 8 % of weights + cache + 470 MB. Builds peaked at 981, 1116, 1116 and 1116 MB, within 10 % of the
    # formula; what the C++ compiler takes, in a process of its own, is not counted.
    ("compiled", "cpu"): Runtime(470 * MB, 1.0, 512, 400 * MB, 128, spare_blocks=4, reads_checkpoint=True),
    # As PyTorch, and the graphs and workspaces of the compiled steps: 0.7 GB were reserved beside weights and
    # cache of a 7B shape on one H200. The host memory of a build for a GPU was not measured.
    ("compiled", "cuda"): Runtime(
        1350 * MB, 1.0, 2048, 1000 * MB, 128, spare_blocks=4, reads_checkpoint=True
    ),
    # Resident with 612, 306, 153 and 104 MB of weights: 1343, 709, 470 and 387 MB. The line through them is
    # 190 MB + 1.88 a byte (repacked weights and the mapped file), within 10 % of each. Builds of the same
    # four peaked at 1238, 1290, 972 and 929 MB: tensors + 250 MB is within 20 % of each.
    ("openvino", "cpu"): Runtime(190 * MB, 1.88, 256, 250 * MB, 32, spare_blocks=2),
    # Not measured: CUDA context, workspaces and one captured graph, as the documentation has them. The pool
    # is sized from the context.
    ("tensorrt-llm", "cuda"): Runtime(
        3000 * MB, 1.0, 8192, 2000 * MB, 32, spare_blocks=2, reads_checkpoint=True
    ),
}
UNMEASURED = Runtime(500 * MB, 1.0, None, 500 * MB, 64)
"""For a backend that nobody has measured: meant to be too much rather than too little."""


def runtime_of(backend: str, kind: str) -> Runtime:
    """The constants of a backend on a kind of device."""
    return RUNTIMES.get((backend, kind), UNMEASURED)
