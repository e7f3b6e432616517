"""What panels draw: everything that was measured of both sides, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.state.conversation.context_map import ContextMap
from app.state.side.answer_cost import AnswerCost
from app.state.side.phase import Phase, Span
from app.state.side.rate_curve import Curve
from engines.measure.gpu import GpuSample
from engines.plan.estimate.estimate import Estimate
from engines.worker.protocol import KVUsage, MemoryUsage


@dataclass(frozen=True)
class SideSnapshot:
    """One side at one moment."""

    title: str
    """`OpenVINO int8`; empty while there is no engine."""
    phase: Phase = Phase.EMPTY
    rates: tuple[tuple[float, float], ...] = ()
    """(seconds since the app started, decode tok/s), oldest first, of the last WINDOW_SECONDS."""
    process_bytes: int | None = None
    """Resident memory of the side's process and its children."""
    gpu_bytes: int | None = None
    """Memory of this process on all GPUs, by NVML; None where NVML does not list the process."""
    memory: MemoryUsage | None = None
    """By part, as the engine's library reports it."""
    kv: KVUsage | None = None
    build_seconds: float | None = None
    last_rate: float | None = None
    """Decode tok/s of the last answer, as under that answer."""
    prompt_tokens: int = 0
    """Sum over this engine's turns in the conversation whose cached tokens are known."""
    cached_tokens: int = 0
    """How many of them were in the KV cache."""
    spans: tuple[Span, ...] = ()
    """Phases of the answer in progress, or else of the last one."""
    gaps: tuple[float, ...] = ()
    """Seconds between that answer's newest tokens."""
    curve: Curve = ()
    """Its decode rate by token."""
    device: str = ""
    """Where the engine runs: `cpu` or `cuda:N`; of several GPUs the first."""
    estimate: Estimate | None = None
    """What was expected of the loaded engine."""
    cost: AnswerCost | None = None
    """Cost of the last answer."""
    bytes_by_gpu: Mapping[int, int] = field(default_factory=dict, hash=False)
    """`gpu_bytes`, by the index of the GPU."""
    bandwidth: float | None = None
    """Measured bytes per second of the device's memory; None before a measurement."""
    precision: str = ""
    """`int8`; empty without an engine."""
    context: ContextMap | None = None
    """How the conversation fills the context window; None while no engine is loaded."""
    others: tuple[str, ...] = ()
    """The other GPUs that hold a part of the weights."""

    @property
    def on_gpu(self) -> bool:
        """Whether the engine is in the memory of a GPU."""
        return self.device.startswith("cuda")

    @property
    def counted(self) -> int | None:
        """Bytes on the engine's device by the system or the driver; None where they do not report them."""
        return self.gpu_bytes if self.on_gpu else self.process_bytes

    @property
    def held(self) -> int:
        """Bytes on the engine's device; where the system does not report them, what the library reports."""
        usage = self.memory
        reported = (usage.weights or 0) + (usage.kv or 0) + (usage.other or 0) if usage else 0
        return self.counted or reported

    def held_on(self, device: str) -> int:
        """Return the part of `held` on one device: the weights are divided evenly."""
        devices = (self.device, *self.others)
        return self.held // len(devices) if device in devices else 0


@dataclass(frozen=True)
class Snapshot:
    """Everything that panels show, at one moment. Panels keep no history."""

    now: float
    """Seconds since the app started."""
    left: SideSnapshot
    right: SideSnapshot
    memory_total: int = 0
    """Bytes of the machine's memory."""
    memory_used: int = 0
    """Bytes in use by all processes."""
    cpu_percent: float | None = None
    """Of all cores."""
    gpus: tuple[GpuSample, ...] = ()

    @property
    def decode_rate(self) -> float:
        """Tok/s of the sides that are decoding, added up."""
        decoding = (side for side in (self.left, self.right) if side.phase is Phase.DECODE)
        return sum(side.rates[-1][1] for side in decoding if side.rates)
