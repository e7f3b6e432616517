"""What is picked for one side, and what of it can be had here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.state.settings.settings import EngineChoice
from engines.backends.registry import BACKENDS
from engines.build.options import calibrates
from engines.errors import EngineError
from engines.plan.calibration import read_calibration
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.loadable import support_of
from engines.plan.hardware.hardware import Device
from engines.plan.hardware.placement import device_of, gpu_choices
from engines.plan.kv_precision import AUTO, kv_choices
from engines.plan.precision import PRECISIONS, Support, default_precision


class EngineSelection:
    """A choice being made. What was wanted is kept while something else that is picked does not take it."""

    def __init__(self, choice: EngineChoice, device: Device, gpus: Sequence[Device]) -> None:
        """Begin with what the settings say.

        Args:
            choice: May name what no release of ours has any more.
            device: The CPU.
            gpus: In the driver's order.
        """
        self._cpu, self._gpus = device, gpus
        self.backend = choice.backend if choice.backend in BACKENDS else next(iter(BACKENDS))
        known = choice.precision in PRECISIONS
        self.precision = choice.precision if known else default_precision(self.backend, self.device)
        self.wanted_kv = choice.kv_precision
        self.wanted_calibration = choice.calibration
        self.wanted_gpus = choice.gpus
        self.checkpoint: Checkpoint | None = None

    @property
    def choice(self) -> EngineChoice:
        """What is chosen now."""
        calibration = self.wanted_calibration if self.calibrates else ""
        return EngineChoice(self.backend, self.precision, self.kv_precision, calibration, self.gpus)

    @property
    def device(self) -> Device:
        """Where the chosen backend runs."""
        return device_of(self.backend, self._cpu, self._gpus[0] if self._gpus else None)

    @property
    def devices(self) -> tuple[Device, ...]:
        """Those that hold a part of the weights, the first of them `device`."""
        return tuple(self._gpus[: self.gpus]) if self.gpus > 1 else (self.device,)

    @property
    def kv_precision(self) -> str:
        """As wanted, where the backend stores it so beside these weights; else its own choice."""
        allowed = kv_choices(self.backend, self.precision)
        return self.wanted_kv if self.wanted_kv in allowed else AUTO

    @property
    def calibrates(self) -> bool:
        """Whether there is a text to choose: the precision runs here, and the checkpoint is not quantised."""
        runs = self.support.state != "unavailable"
        return runs and calibrates(self.backend, self.precision, self.checkpoint)

    @property
    def gpu_counts(self) -> tuple[int, ...]:
        """Over how many GPUs the weights can be split, with this checkpoint; one for what does not run."""
        if self.problem:
            return (1,)
        heads = self.checkpoint.kv_heads if self.checkpoint else None
        return gpu_choices(self.backend, self._gpus, heads)

    @property
    def gpus(self) -> int:
        """As wanted, where they can be had; else one."""
        return self.wanted_gpus if self.wanted_gpus in self.gpu_counts else 1

    @property
    def supports(self) -> dict[str, Support]:
        """Whether each precision runs here, and why."""
        return {name: support_of(self.backend, name, self.device, self.checkpoint) for name in PRECISIONS}

    @property
    def support(self) -> Support:
        """Whether the choice runs here, and why."""
        return support_of(self.backend, self.precision, self.device, self.checkpoint)

    @property
    def problem(self) -> str:
        """Why the choice cannot be prepared; empty when it can."""
        found = self.support
        return f"{found.reason} {found.remedy}".strip() if found.state == "unavailable" else ""


async def file_problem(choice: EngineChoice) -> str:
    """What is wrong with the calibration text now; it was looked at when it was chosen, perhaps long ago."""
    if not choice.calibration:
        return ""
    try:
        await asyncio.to_thread(read_calibration, choice.calibration)
    except EngineError as error:
        return f"{error.message} {error.hint}"
    return ""
