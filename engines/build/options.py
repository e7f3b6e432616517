"""Options that only some engines take: the user's text to calibrate with, and several GPUs."""

from __future__ import annotations

from dataclasses import replace

from engines.backends.registry import BACKENDS
from engines.build.spec import CALIBRATION, GPUS, EngineSpec
from engines.errors import EngineError
from engines.plan.calibration import read_calibration
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.hardware.hardware import gpus
from engines.plan.hardware.placement import gpu_choices


def calibrates(backend: str, precision: str, checkpoint: Checkpoint | None = None) -> bool:
    """Whether texts decide how the weights are quantised; not where that has been done already."""
    done = checkpoint is not None and checkpoint.quantisation is not None
    return backend in BACKENDS and precision in BACKENDS[backend].calibrates and not done


def splits(backend: str) -> bool:
    """Whether the weights can be split over several GPUs."""
    return backend in BACKENDS and BACKENDS[backend].splits


def options_of(backend: str, precision: str, calibration: str = "", gpu_count: int = 1) -> dict[str, str]:
    """What a spec gets of what was chosen: nothing that this backend and precision do not take."""
    found = {}
    if calibration and calibrates(backend, precision):
        found[CALIBRATION] = calibration
    if gpu_count > 1 and splits(backend):
        found[GPUS] = str(gpu_count)
    return found


def resolve_options(spec: EngineSpec, checkpoint: Checkpoint) -> tuple[EngineSpec, dict[str, str]]:
    """The spec as it goes with its checkpoint, and digests of the files that its options name.

    It asks the driver and reads files: never on an event loop.

    Raises:
        EngineError: an option cannot be had here; said before anything is built.
    """
    if not calibrates(spec.backend, spec.precision, checkpoint):
        kept = {name: value for name, value in spec.options.items() if name != CALIBRATION}
        spec = replace(spec, options=kept)
    refuse_split(spec.backend, spec.gpus, checkpoint)
    contents = {CALIBRATION: read_calibration(spec.calibration).digest} if spec.calibration else {}
    return spec, contents


def refuse_split(backend: str, count: int, checkpoint: Checkpoint | None = None) -> None:
    """Raise where weights cannot be split over so many GPUs.

    Raises:
        EngineError: there are not as many of one model, or the KV heads cannot be shared out evenly.
    """
    if count == 1:
        return
    here = gpu_choices(backend, gpus())
    if count not in here:
        runs_on = "1, 2, 4 … GPUs of one model" if splits(backend) else "one GPU"
        words = f"{BACKENDS[backend].title} runs on {runs_on}; {count} cannot be had here."
        raise EngineError("too-few-gpus", words, f"Choose {_or(here)}.")
    heads = checkpoint.kv_heads if checkpoint else None
    if count not in (able := gpu_choices(backend, gpus(), heads)):
        words = f"The {heads} KV heads of this checkpoint cannot be shared out evenly to {count} GPUs."
        raise EngineError("uneven-split", words, f"Choose {_or(able)}.")


def _or(counts: tuple[int, ...]) -> str:
    *some, last = map(str, counts)
    return f"{', '.join(some)} or {last}" if some else last
