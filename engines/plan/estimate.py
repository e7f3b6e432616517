"""Memory by part, and the ceiling of decode speed, before anything is built.

Every figure is a formula over the checkpoint's shape plus constants that were measured; each says where.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.plan.checkpoint import Checkpoint
from engines.plan.hardware import Device
from engines.plan.precision import PRECISIONS

MB = 1_000_000


@dataclass(frozen=True)
class KVPrecision:
    """How a key or value is stored."""

    element_bytes: float
    head_overhead: float = 0.0
    """Bytes of scale and zero point for each head's key, and again for its value."""


KV_PRECISIONS: dict[str, KVPrecision] = {
    "f32": KVPrecision(4),
    "bf16": KVPrecision(2),
    "f16": KVPrecision(2),
    # OpenVINO: 5,120 B a token measured where f16 has 8,192 (8 layers, 8 heads of 32): 8 B of scales a head.
    "u8": KVPrecision(1, head_overhead=8),
    "fp8": KVPrecision(1),
}
_PLAIN_KV = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


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
    quantised_kv: str = "f16"
    """KV precision that `auto` means with quantised weights; with plain ones it is theirs."""


RUNTIMES: dict[tuple[str, str], Runtime] = {
    # torch and transformers after import: 331 MB. With 612 MB of fp32 weights 883 MB were resident.
    ("pytorch", "cpu"): Runtime(331 * MB, 1.0, None, None, 1),
    # CUDA context and cuBLAS: a process took 614 MB more of an H200 than torch had reserved.
    ("pytorch", "cuda"): Runtime(650 * MB, 1.0, None, None, 1),
    # As PyTorch, and the graphs and workspaces of the compiled steps: 0.7 GB were reserved beside weights and
    # cache of a 7B shape on one H200.
    ("compiled", "cpu"): Runtime(400 * MB, 1.0, 512, 400 * MB, 128, spare_blocks=4, quantised_kv="bf16"),
    ("compiled", "cuda"): Runtime(1350 * MB, 1.0, 2048, 1000 * MB, 128, spare_blocks=4, quantised_kv="bf16"),
    # Resident with 612, 306, 153 and 104 MB of weights: 1343, 709, 470 and 387 MB. The line through them is
    # 190 MB + 1.88 a byte (repacked weights and the mapped file), within 10 % of each. Builds of the same
    # four peaked at 1238, 1290, 972 and 929 MB: tensors + 250 MB is within 20 % of each.
    ("openvino", "cpu"): Runtime(190 * MB, 1.88, 256, 250 * MB, 32, spare_blocks=2, quantised_kv="u8"),
}
_UNKNOWN = Runtime(500 * MB, 1.0, None, 500 * MB, 64)
"""For a backend that nobody has measured: meant to be too much rather than too little."""


@dataclass(frozen=True)
class Estimate:
    """Bytes by part, for one engine on one device. Nothing else that runs there is counted."""

    device: str
    weights: int
    """Of the engine, as its precision stores them."""
    kv: int
    """KV cache when the context is full."""
    other: int
    """Runtime, repacked copies of weights and the activations of prefill."""
    loading: int
    """What only loading takes: tensors of the checkpoint while they are converted."""
    build_host: int
    """Host memory that preparing takes at its peak; 0 for a backend that builds nothing."""
    available: int | None
    """Bytes free on the device now; None where nobody says."""
    host_available: int | None
    """Bytes free on the host now, as far as the caller said."""
    bytes_per_token: int
    """Read for one decoded token when the context is full: active weights without input tables, and KV."""
    bandwidth: float | None
    """Bytes per second between the device and its memory."""

    @property
    def peak(self) -> int:
        """The most at once, loading included."""
        return self.weights + self.kv + self.other + self.loading

    @property
    def ceiling(self) -> float | None:
        """Decode tok/s that the bandwidth allows: bandwidth / bytes_per_token. None without a bandwidth."""
        return self.bandwidth / self.bytes_per_token if self.bandwidth and self.bytes_per_token else None

    @property
    def fits(self) -> bool:
        """Whether peak and build fit what is free. Unknown memory counts as enough."""
        return not self.problem

    @property
    def problem(self) -> str:
        """The first part that does not fit, in words; empty where all do."""
        if self.available is not None and self.peak > self.available:
            free = f"It needs {_gib(self.peak)} on {self.device} and {_gib(self.available)} is free: "
            return free + self._missing_part(self.available)
        if self.host_available is not None and self.build_host > self.host_available:
            needed, has = _gib(self.build_host), _gib(self.host_available)
            return f"Building needs {needed} of host memory and {has} is free."
        return ""

    def _missing_part(self, free: int) -> str:
        if self.weights > free:
            return f"the weights alone take {_gib(self.weights)}."
        if self.weights + self.other > free:
            return f"the weights fit, but {_gib(self.other)} of runtime and activations do not."
        if self.weights + self.other + self.kv > free:
            return f"the KV cache takes {_gib(self.kv)} of it. Choose a shorter context."
        return "the engine fits, but converting the weights while loading does not."


def estimate(
    checkpoint: Checkpoint,
    backend: str,
    precision: str,
    kv_precision: str,
    context: int,
    device: Device,
    *,
    host: Device | None = None,
    bandwidth: float | None = None,
) -> Estimate:
    """Estimate the memory and speed limit of an engine.

    Args:
        kv_precision: a name of KV_PRECISIONS, or `auto`.
        context: tokens of prompt and answer together.
        host: the CPU, for what a build takes; `device` itself where that is the CPU.
        bandwidth: bytes per second between the device and its memory; None for what the device reports.

    Raises:
        KeyError: `precision` or `kv_precision` is not known.
    """
    runtime = RUNTIMES.get((backend, device.kind), _UNKNOWN)
    weights = estimate_weight_bytes(checkpoint, precision)
    kv_name = resolved_kv(backend, precision, kv_precision, device.kind)
    blocks = -(-context // runtime.block_tokens) + runtime.spare_blocks
    copies = round((runtime.weight_copies - 1) * weights)
    host = host or (device if device.kind == "cpu" else None)
    return Estimate(
        device=device.name,
        weights=weights,
        kv=_kv_bytes(checkpoint, kv_name, blocks * runtime.block_tokens),
        other=runtime.base + copies + _activations(checkpoint, runtime, precision, context),
        loading=_loading(checkpoint, precision, runtime),
        build_host=_build_bytes(checkpoint, precision, weights, runtime),
        available=device.memory_available,
        host_available=host.memory_available if host else None,
        bytes_per_token=bytes_read_per_token(checkpoint, precision, kv_name, context),
        bandwidth=bandwidth or device.bandwidth,
    )


def estimate_weight_bytes(checkpoint: Checkpoint, precision: str) -> int:
    """Bytes of the engine's weights: decoder parameters · bits + those of embedding and head · their bits.

    A checkpoint that is quantised already is taken as it lies on disk.
    """
    if checkpoint.quantisation is not None:
        return checkpoint.weight_bytes
    weights = checkpoint.weights
    tables = weights.embedding + (0 if weights.tied else weights.head)
    return PRECISIONS[precision].weight_bytes(weights.parameters, tables)


def bytes_read_per_token(checkpoint: Checkpoint, precision: str, kv_precision: str, tokens: int) -> int:
    """Bytes that decoding one token reads when `tokens` are in the KV cache.

    The input embedding is not read in full (one row a token), the head is, and of a mixture only the active
    experts. Check: gpt-fast's 1410.76 GB/s at 93.89 tok/s on Llama-3.1-8B is 15.03 GB = (8.030 − 0.525) · 2.
    """
    read = checkpoint.parameters_read_per_token
    if checkpoint.quantisation is not None:
        weights = round(checkpoint.weight_bytes * read / max(1, checkpoint.parameters))
    else:
        weights = PRECISIONS[precision].weight_bytes(read, checkpoint.weights.head)
    return weights + _kv_bytes(checkpoint, kv_precision, tokens)


def resolved_kv(backend: str, precision: str, kv_precision: str, kind: str) -> str:
    """The name in KV_PRECISIONS that `auto` stands for; any other name stands for itself."""
    if kv_precision != "auto":
        return kv_precision
    return _PLAIN_KV.get(precision) or RUNTIMES.get((backend, kind), _UNKNOWN).quantised_kv


def _kv_bytes(checkpoint: Checkpoint, name: str, tokens: int) -> int:
    stored = KV_PRECISIONS[name]
    return checkpoint.kv_bytes(tokens, stored.element_bytes, stored.head_overhead)


def _activations(checkpoint: Checkpoint, runtime: Runtime, precision: str, context: int) -> int:
    """Prefill holds for each token residual, norm, query and attention output (4 · hidden), gate, up and
    their product (3 · intermediate); and once the logits of one position in 32 bits.
    """
    tokens = min(context, runtime.prefill_tokens or context)
    element = 2 if precision in ("bf16", "fp16") else 4
    shape = checkpoint.shape
    return tokens * (4 * shape.hidden + 3 * shape.intermediate) * element + 4 * shape.vocabulary


def _loading(checkpoint: Checkpoint, precision: str, runtime: Runtime) -> int:
    """A backend that builds nothing holds the file's tensors while it converts them: 1216 MB at the peak
    were measured for 306 MB of bf16 from 612 MB of fp32.
    """
    converts = runtime.build_base is None and checkpoint.dtype != precision
    return checkpoint.weight_bytes if converts else 0


def _build_bytes(checkpoint: Checkpoint, precision: str, weights: int, runtime: Runtime) -> int:
    """The checkpoint's tensors, or their 32-bit copies where those are written, the result, and the rest."""
    if runtime.build_base is None:
        return 0
    widened = 4 * checkpoint.parameters if precision in _PLAIN_KV else 0
    return max(checkpoint.weight_bytes, widened) + weights + runtime.build_base


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
