"""Memory by part, and the ceiling of decode speed, before anything is built.

Every figure is a formula over the checkpoint's shape plus constants that were measured; each says where.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.estimate.runtimes import Runtime, runtime_of
from engines.plan.hardware.hardware import Device
from engines.plan.kv_precision import KV_PRECISIONS, kv_choices, resolved_kv
from engines.plan.precision import PRECISIONS
from engines.worker.values import MemoryUsage

PLAIN = ("fp32", "bf16", "fp16")
COMPUTED_BYTES = 2
"""Bytes of a weight while it waits to be quantised."""


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

    bandwidth_measured: bool = False
    """Otherwise it is the peak that the driver reports."""
    kv_precision: str = ""
    """How keys and values are stored."""
    smaller_kv: str = ""
    """The next smaller way that the backend offers; empty where there is none."""
    checkpoint_precision: str = ""
    """How the checkpoint stores its weights."""
    gpus: int = 1
    """Devices that hold a part of it; the figures are of each."""

    @property
    def loaded(self) -> int:
        """What stays for as long as the engine lives, with a full context."""
        return self.weights + self.kv + self.other

    @property
    def peak(self) -> int:
        """The most at once, loading included."""
        return self.loaded + self.loading

    @property
    def ceiling(self) -> float | None:
        """Decode tok/s that the bandwidth allows: bandwidth / bytes_per_token. None without a bandwidth."""
        return self.bandwidth / self.bytes_per_token if self.bandwidth and self.bytes_per_token else None


@dataclass(frozen=True)
class MemoryPart:
    """One part of an engine's memory: what was expected, and what the loaded engine takes."""

    name: str
    """`weights`, `KV cache`, `other`, `in all`."""
    estimated: int
    actual: int | None
    """None while nothing is loaded, and where nobody reports it."""


def parts(found: Estimate, memory: MemoryUsage | None, held: int | None) -> tuple[MemoryPart, ...]:
    """The estimate beside what the loaded engine takes.

    Args:
        memory: as the engine reported it; None while nothing is loaded.
        held: bytes of the engine's process where the engine lives, on the device or the host.
    """
    weights, kv = (memory.weights, memory.kv) if memory else (None, None)
    other = memory.other if memory else None
    if held is not None and weights is not None:  # on a GPU this counts its context, the library does not
        other = max(0, held - weights - (kv or 0))
    return (
        MemoryPart("weights", found.weights, weights),
        MemoryPart("KV cache", found.kv, kv),
        MemoryPart("other", found.other, other),
        MemoryPart("total", found.loaded, held),
    )


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
    runtime = runtime_of(backend, device.kind)
    weights = estimate_weight_bytes(checkpoint, precision)
    kv_name = resolved_kv(backend, precision, kv_precision)
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
        bandwidth_measured=bandwidth is not None,
        kv_precision=kv_name,
        smaller_kv=_smaller_kv(backend, precision, kv_name),
        checkpoint_precision=checkpoint.dtype,
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


def _smaller_kv(backend: str, precision: str, name: str) -> str:
    def size(one: str) -> float:
        return KV_PRECISIONS[one].element_bytes

    smaller = [one for one in kv_choices(backend, precision) if size(one) < size(name)]
    return max(smaller, key=size, default="")


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
    """A file's tensors stay while they are converted: 1216 MB at the peak were measured for 306 MB of bf16
    from 612 MB of fp32. Random weights are made as they are computed with: 616 MB for 249 MB of bf16, and
    quantised after that.
    """
    if checkpoint.is_random:
        quantised = precision not in PLAIN
        made = COMPUTED_BYTES * checkpoint.parameters - estimate_weight_bytes(checkpoint, precision)
        return max(0, made) if quantised else 0
    reads_the_file = runtime.build_base is None or (runtime.reads_checkpoint and precision in PLAIN)
    return checkpoint.weight_bytes if reads_the_file and checkpoint.dtype != precision else 0


def _build_bytes(checkpoint: Checkpoint, precision: str, weights: int, runtime: Runtime) -> int:
    """The checkpoint's tensors, or their 32-bit copies where those are written, the result, and the rest."""
    if runtime.build_base is None:
        return 0
    if runtime.reads_checkpoint and checkpoint.dtype == precision:
        return weights + runtime.build_base
    widened = 4 * checkpoint.parameters if precision in PLAIN else 0
    return max(checkpoint.weight_bytes, widened) + weights + runtime.build_base
