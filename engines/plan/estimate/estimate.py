"""Estimate memory by part and the upper bound of decode speed before anything is built.

Every figure is a formula over the checkpoint's shape plus measured constants, with their source.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.estimate.runtimes import runtime_of
from engines.plan.hardware.hardware import Device
from engines.plan.kv_precision import KV_PRECISIONS, kv_choices, resolved_kv
from engines.plan.precision import PRECISIONS
from engines.plan.support.runtime import Runtime
from engines.worker.values import MemoryUsage

PLAIN = ("fp32", "bf16", "fp16")
COMPUTED_BYTES = 2
"""Bytes of a weight before it is quantised."""


SHORTEST_STEP = 100e-6
"""Seconds. To start the kernels of a step, or to replay them as a CUDA graph, takes longer than this."""


@dataclass(frozen=True)
class Estimate:
    """Bytes by part for one engine on one device; other processes are not counted."""

    device: str
    weights: int
    """Weights in the precision of the engine."""
    kv: int
    """KV cache of a full context."""
    other: int
    """Runtime, repacked copies of weights and activations of prefill."""
    loading: int
    """Needed only while loading: tensors of the checkpoint that are being converted."""
    build_host: int
    """Peak of host memory while building; 0 for a backend that builds nothing."""
    available: int | None
    """Bytes free on the device now; None if unknown."""
    host_available: int | None
    """Bytes free on the host now; None if unknown."""
    bytes_per_token: int
    """Bytes read to decode one token with a full context: active weights without input embedding, and KV."""
    bandwidth: float | None
    """Bytes per second between the device and its memory."""

    cache: int | None = None
    """Bytes of the device's last-level cache; None if unknown."""
    bandwidth_measured: bool = False
    """True: measured on this machine. False: the peak that the driver reports."""
    kv_precision: str = ""
    """Format of the KV cache, a name of KV_PRECISIONS."""
    smaller_kv: str = ""
    """The next smaller KV format of the backend; empty where there is none."""
    checkpoint_precision: str = ""
    """Precision of the checkpoint's weights."""
    gpus: int = 1
    """Number of GPUs that the weights are split over; the figures are per GPU."""

    @property
    def loaded(self) -> int:
        """Bytes of the loaded engine with a full context."""
        return self.weights + self.kv + self.other

    @property
    def peak(self) -> int:
        """Peak bytes, loading included."""
        return self.loaded + self.loading

    @property
    def ceiling(self) -> float | None:
        """Upper bound of decode tok/s, see `decode_ceiling`."""
        return decode_ceiling(self.bytes_per_token, self.bandwidth, self.cache)

    @property
    def fits_cache(self) -> bool:
        """Whether all that a token reads fits into the processor's cache."""
        return self.cache is not None and 0 < self.bytes_per_token <= self.cache


def decode_ceiling(bytes_per_token: int, bandwidth: float | None, cache: int | None = None) -> float | None:
    """Return the decode tok/s that memory allows: bandwidth / bytes_per_token.

    None without a bandwidth, and where memory is not what bounds it: the bytes fit into the cache, or are
    read in less than SHORTEST_STEP.
    """
    if not bandwidth or not bytes_per_token or bytes_per_token <= (cache or 0):
        return None
    return bandwidth / bytes_per_token if bytes_per_token / bandwidth >= SHORTEST_STEP else None


@dataclass(frozen=True)
class MemoryPart:
    """One part of an engine's memory: estimated and actual bytes."""

    name: str
    """`weights`, `KV cache`, `other`, `total`."""
    estimated: int
    actual: int | None
    """None while nothing is loaded, or if the engine does not report it."""


def parts(found: Estimate, memory: MemoryUsage | None, process_bytes: int | None) -> tuple[MemoryPart, ...]:
    """Return the estimate and the actual memory of the loaded engine, by part.

    Args:
        memory: as the engine reports it; None while nothing is loaded.
        process_bytes: memory of the engine's process, on the device or the host that the engine runs on.
    """
    weights, kv = (memory.weights, memory.kv) if memory else (None, None)
    other = memory.other if memory else None
    # On a GPU the process memory includes the CUDA context, which the library's figure does not.
    if process_bytes is not None and weights is not None:
        other = max(0, process_bytes - weights - (kv or 0))
    return (
        MemoryPart("weights", found.weights, weights),
        MemoryPart("KV cache", found.kv, kv),
        MemoryPart("other", found.other, other),
        MemoryPart("total", found.loaded, process_bytes),
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
    """Estimate the memory and the speed limit of an engine.

    Args:
        kv_precision: a name of KV_PRECISIONS, or `auto`.
        context: tokens of prompt and answer together.
        host: the CPU, for the memory of a build; by default `device` if that is the CPU.
        bandwidth: bytes per second between the device and its memory; None for the figure of the device.

    Raises:
        KeyError: `precision` or `kv_precision` is unknown.
    """
    runtime = runtime_of(backend, device.kind)
    weights = estimate_weight_bytes(checkpoint, precision)
    kv_name = resolved_kv(backend, precision, kv_precision, checkpoint.quantisation)
    blocks = -(-context // runtime.block_tokens) + runtime.spare_blocks
    copies = round((runtime.weight_copies - 1) * weights)
    host = host or (device if device.kind == "cpu" else None)
    return Estimate(
        device=device.name,
        weights=weights,
        kv=_allocated_kv_bytes(checkpoint, kv_name, blocks * runtime.block_tokens, runtime),
        other=runtime.base + copies + _activations(checkpoint, runtime, precision, context),
        loading=_loading(checkpoint, precision, runtime),
        build_host=_build_bytes(checkpoint, precision, weights, runtime),
        available=device.memory_available,
        host_available=host.memory_available if host else None,
        bytes_per_token=bytes_read_per_token(checkpoint, precision, kv_name, context),
        bandwidth=bandwidth or device.bandwidth,
        cache=device.cache_bytes,
        bandwidth_measured=bandwidth is not None,
        kv_precision=kv_name,
        smaller_kv=_smaller_kv(backend, precision, kv_name),
        checkpoint_precision=checkpoint.dtype,
    )


def estimate_weight_bytes(checkpoint: Checkpoint, precision: str) -> int:
    """Return the bytes of weights: decoder parameters · bits + parameters of embedding and head · their bits.

    A quantised checkpoint counts with its size on disk, unless it is a GGUF file that is dequantised.
    """
    if _keeps_its_size(checkpoint, precision):
        return checkpoint.weight_bytes
    weights = checkpoint.weights
    tables = weights.embedding + (0 if weights.tied else weights.head)
    return PRECISIONS[precision].weight_bytes(weights.parameters, tables)


def bytes_read_per_token(checkpoint: Checkpoint, precision: str, kv_precision: str, tokens: int) -> int:
    """Return the bytes read to decode one token with `tokens` in the KV cache.

    The head is read in full, the input embedding only one row, and of a mixture only the active experts.
    Check: gpt-fast's 1410.76 GB/s at 93.89 tok/s on Llama-3.1-8B is 15.03 GB = (8.030 − 0.525) · 2.
    """
    read = checkpoint.parameters_read_per_token
    if _keeps_its_size(checkpoint, precision):
        weights = round(checkpoint.weight_bytes * read / max(1, checkpoint.parameters))
    else:
        weights = PRECISIONS[precision].weight_bytes(read, checkpoint.weights.head)
    return weights + _kv_bytes(checkpoint, kv_precision, tokens)


def _keeps_its_size(checkpoint: Checkpoint, precision: str) -> bool:
    is_dequantised = bool(checkpoint.gguf_precision) and precision != checkpoint.gguf_precision
    return checkpoint.quantisation is not None and not is_dequantised


def _smaller_kv(backend: str, precision: str, name: str) -> str:
    def size(one: str) -> float:
        return KV_PRECISIONS[one].element_bytes

    smaller = [one for one in kv_choices(backend, precision) if size(one) < size(name)]
    return max(smaller, key=size, default="")


def _allocated_kv_bytes(checkpoint: Checkpoint, name: str, tokens: int, runtime: Runtime) -> int:
    if not runtime.keeps_all_tokens:
        return _kv_bytes(checkpoint, name, tokens)
    stored = KV_PRECISIONS[name]
    sizes = stored.element_bytes, stored.head_overhead
    return round(tokens * checkpoint.attention_bytes_per_token(*sizes))


def _kv_bytes(checkpoint: Checkpoint, name: str, tokens: int) -> int:
    stored = KV_PRECISIONS[name]
    return checkpoint.kv_bytes(tokens, stored.element_bytes, stored.head_overhead)


def _activations(checkpoint: Checkpoint, runtime: Runtime, precision: str, context: int) -> int:
    """Return the bytes of activations during prefill.

    Per token: residual, norm, query and attention output (4 · hidden), gate, up and their product
    (3 · intermediate). Once: the logits of one position in 32 bits.
    """
    tokens = min(context, runtime.prefill_tokens or context)
    element = 2 if precision in ("bf16", "fp16") else 4
    shape = checkpoint.shape
    return tokens * (4 * shape.hidden + 3 * shape.intermediate) * element + 4 * shape.vocabulary


def _loading(checkpoint: Checkpoint, precision: str, runtime: Runtime) -> int:
    """Return the bytes needed only while loading.

    The tensors of a file stay in memory while they are converted: a peak of 1216 MB was measured for 306 MB
    of bf16 from 612 MB of fp32. Random weights are generated in the computed precision (616 MB for 249 MB of
    bf16) and quantised after that.
    """
    if checkpoint.is_random:
        quantised = precision not in PLAIN
        made = COMPUTED_BYTES * checkpoint.parameters - estimate_weight_bytes(checkpoint, precision)
        return max(0, made) if quantised else 0
    reads_the_file = runtime.build_base is None or (runtime.reads_checkpoint and precision in PLAIN)
    return checkpoint.weight_bytes if reads_the_file and checkpoint.dtype != precision else 0


def _build_bytes(checkpoint: Checkpoint, precision: str, weights: int, runtime: Runtime) -> int:
    """Return the host bytes of a build: the tensors (or their 32-bit copies), the result and the base."""
    if runtime.build_base is None or checkpoint.gguf_precision:
        return 0
    if runtime.reads_checkpoint and checkpoint.dtype == precision:
        return weights + runtime.build_base
    widens = precision in PLAIN or (runtime.widens is not None and runtime.widens(checkpoint.config))
    widened = 4 * checkpoint.parameters if widens else 0
    return max(checkpoint.weight_bytes, widened) + weights + runtime.build_base
