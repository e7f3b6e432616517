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
    """Return whether calibration texts are used for quantising; not for a checkpoint that is quantised."""
    done = checkpoint is not None and checkpoint.quantisation is not None
    return backend in BACKENDS and precision in BACKENDS[backend].calibrates and not done


def splits(backend: str) -> bool:
    """Return whether the weights can be split over several GPUs."""
    return backend in BACKENDS and BACKENDS[backend].splits


def options_of(backend: str, precision: str, calibration: str = "", gpu_count: int = 1) -> dict[str, str]:
    """Return the options of a spec: of what was chosen, only what this backend and precision take."""
    found = {}
    if calibration and calibrates(backend, precision):
        found[CALIBRATION] = calibration
    if gpu_count > 1 and splits(backend):
        found[GPUS] = str(gpu_count)
    return found


def resolve_options(spec: EngineSpec, checkpoint: Checkpoint) -> tuple[EngineSpec, dict[str, str]]:
    """Return the spec with the options that apply to its checkpoint, and digests of the files they name.

    Blocking: it asks the driver and reads files.

    Raises:
        EngineError: an option is not possible on this machine, or the path cannot be written to a manifest.
    """
    refuse_undecodable(spec.checkpoint)
    if not calibrates(spec.backend, spec.precision, checkpoint):
        kept = {name: value for name, value in spec.options.items() if name != CALIBRATION}
        spec = replace(spec, options=kept)
    refuse_split(spec.backend, spec.gpus, checkpoint)
    contents = {CALIBRATION: read_calibration(spec.calibration).digest} if spec.calibration else {}
    return spec, contents


def refuse_split(backend: str, count: int, checkpoint: Checkpoint | None = None) -> None:
    """Refuse a number of GPUs over which the weights cannot be split.

    Raises:
        EngineError: the machine has fewer of one model, or the KV heads do not divide evenly.
    """
    if count == 1:
        return
    possible = gpu_choices(backend, gpus())
    if count not in possible:
        runs_on = "1, 2, 4 … GPUs of one model" if splits(backend) else "one GPU"
        words = f"{BACKENDS[backend].title} runs on {runs_on}; {count} is not possible on this machine."
        raise EngineError("too-few-gpus", words, f"Choose {_or(possible)}.")
    heads = checkpoint.kv_heads if checkpoint else None
    if count not in (even := gpu_choices(backend, gpus(), heads)):
        words = f"The {heads} KV heads of this checkpoint cannot be divided evenly among {count} GPUs."
        raise EngineError("uneven-split", words, f"Choose {_or(even)}.")


def refuse_undecodable(path: str) -> None:
    """Refuse a path with bytes that are not UTF-8: the manifest is JSON, and libraries fail on it later.

    Raises:
        EngineError: it is one.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        message = f"The path of the checkpoint is not valid UTF-8: {path!a}."
        raise EngineError("undecodable-path", message, "Rename the folder.") from error


def _or(counts: tuple[int, ...]) -> str:
    *some, last = map(str, counts)
    return f"{', '.join(some)} or {last}" if some else last
