"""The engine that is being selected for one side, and whether it can run on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.state.prepare.side_gpu import gpu_of
from app.state.settings.settings import EngineChoice
from engines.backends.registry import BACKENDS
from engines.build.options import builds_uncalibrated, calibrates
from engines.build.server import SERVED
from engines.errors import EngineError
from engines.plan.calibration import WITHOUT, read_calibration
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.loadable import support_of
from engines.plan.gguf_formats import DEQUANTISING_BACKEND, GGUF_BACKEND, offered_precisions
from engines.plan.hardware.hardware import Device
from engines.plan.hardware.placement import device_of, gpu_choices
from engines.plan.kv_precision import AUTO, kv_choices
from engines.plan.precision import PRECISIONS, Support, default_precision


class EngineSelection:
    """A selection in progress. Options that the current backend does not take are kept for the next one."""

    def __init__(
        self, choice: EngineChoice, device: Device, gpus: Sequence[Device], side: str = "left"
    ) -> None:
        """Start from the settings; an unknown backend or precision is replaced by the default.

        Args:
            choice: may name a backend or precision of another release.
            device: The CPU.
            gpus: In the driver's order.
            side: `left` or `right`, which have different GPUs by default.
        """
        self._cpu, self._gpus, self._side = device, gpus, side
        self.wanted_device, self.wanted_gpus = choice.device, choice.gpus
        self.server = choice.server
        """The server, where the backend is one."""
        self.checkpoint: Checkpoint | None = None
        self.context: int | None = None
        """Tokens of the context window; None if it is not known."""
        self.wanted_backend = choice.backend if choice.backend in BACKENDS else next(iter(BACKENDS))
        known = choice.precision in PRECISIONS
        self.wanted_precision = choice.precision if known else default_precision(self.backend, self.device)
        compares = side == "right" and self.wanted_backend == DEQUANTISING_BACKEND
        self.gguf_backend = DEQUANTISING_BACKEND if compares else GGUF_BACKEND
        """The backend while a GGUF file is chosen: the one that reads it, and on the right its reference."""
        self.wanted_kv = choice.kv_precision
        self.wanted_calibration = choice.calibration

    @property
    def backend(self) -> str:
        """The current backend."""
        reads = self.is_gguf and self.gguf_backend in BACKENDS
        return self.gguf_backend if reads else self.wanted_backend

    @backend.setter
    def backend(self, name: str) -> None:
        if self.is_gguf:
            self.gguf_backend = name
        else:
            self.wanted_backend = name

    @property
    def precision(self) -> str:
        """The current precision; of a GGUF file its own, or the one that it is dequantised to."""
        return self.wanted_precision if self.wanted_precision in self.offered else self.offered[0]

    @precision.setter
    def precision(self, name: str) -> None:
        if name in self.offered:
            self.wanted_precision = name

    @property
    def offered(self) -> tuple[str, ...]:
        """The precisions to choose from."""
        return offered_precisions(self.checkpoint, self.backend)

    @property
    def is_gguf(self) -> bool:
        """Whether a GGUF file is chosen."""
        return self.checkpoint is not None and bool(self.checkpoint.gguf_precision)

    @property
    def choice(self) -> EngineChoice:
        """The current choice."""
        if self.is_remote:
            return EngineChoice(self.backend, SERVED, server=self.server)
        possible = self.calibrates and (self.wanted_calibration != WITHOUT or self.builds_uncalibrated)
        calibration = self.wanted_calibration if possible else ""
        named = self.wanted_device in (gpu.name for gpu in self.offered_gpus)
        device = self.wanted_device if named else ""
        return EngineChoice(self.backend, self.precision, self.kv_precision, calibration, self.gpus, device)

    @property
    def is_remote(self) -> bool:
        """Whether the engine runs on a server."""
        return BACKENDS[self.backend].remote

    @property
    def device(self) -> Device:
        """The device that the chosen backend runs on, the wanted one of several GPUs."""
        return self._on(self._first(1))

    @property
    def offered_gpus(self) -> tuple[Device, ...]:
        """The GPUs that can be chosen from; empty if the backend runs on none, or there are not several."""
        return tuple(self._gpus) if len(self._gpus) > 1 and self.device.kind == "cuda" else ()

    def _first(self, count: int) -> Device | None:
        return gpu_of(self._side, self.wanted_device, self._gpus, count)

    def _on(self, gpu: Device | None) -> Device:
        return device_of(self.backend, self._cpu, gpu)

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that hold a part of the weights, `device` first."""
        count, first = self.gpus, self._first(self.gpus)
        if count == 1 or first is None:
            return (self.device,)
        begin = self._gpus.index(first)
        return tuple(self._gpus[begin : begin + count])

    @property
    def kv_precision(self) -> str:
        """As wanted if the backend offers it with these weights; else `auto`."""
        allowed = kv_choices(self.backend, self.precision)
        return self.wanted_kv if self.wanted_kv in allowed else AUTO

    @property
    def calibrates(self) -> bool:
        """Whether a calibration text can be chosen: not if the checkpoint is quantised already."""
        runs = self.support.state != "unavailable"
        return runs and calibrates(self.backend, self.precision, self.checkpoint)

    @property
    def builds_uncalibrated(self) -> bool:
        """Whether the choice can be built without calibration too."""
        return builds_uncalibrated(self.backend, self.precision)

    @property
    def gpu_counts(self) -> tuple[int, ...]:
        """Numbers of GPUs over which the weights can be split, with this checkpoint; 1 if it runs on none."""
        if self.problem or self.device.kind != "cuda":
            return (1,)
        heads = self.checkpoint.kv_heads if self.checkpoint else None
        return gpu_choices(self.backend, self._gpus, heads)

    @property
    def gpus(self) -> int:
        """As wanted if the machine has them; else 1."""
        return self.wanted_gpus if self.wanted_gpus in self.gpu_counts else 1

    @property
    def supports(self) -> dict[str, Support]:
        """Whether each precision runs on the device, and why."""
        return {name: self._support(name) for name in self.offered}

    @property
    def support(self) -> Support:
        """Whether the choice runs on the device, and why."""
        return self._support(self.precision)

    def _support(self, precision: str) -> Support:
        if self.is_remote:
            return Support("native", "The server runs it.")
        return support_of(self.backend, precision, self.device, self.checkpoint, self.context)

    @property
    def problem(self) -> str:
        """Why the choice cannot be prepared; empty if it can."""
        if self.is_remote:
            return "" if self.server.address else "No server is chosen yet: press S."
        found = self.support
        return f"{found.reason} {found.remedy}".strip() if found.state == "unavailable" else ""


async def file_problem(choice: EngineChoice) -> str:
    """Return what is wrong with the calibration text; it may have changed since it was chosen."""
    if choice.calibration in ("", WITHOUT):
        return ""
    try:
        await asyncio.to_thread(read_calibration, choice.calibration)
    except EngineError as error:
        return f"{error.message} {error.hint}"
    return ""
