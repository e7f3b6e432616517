"""Options that only some engines take: a text to calibrate with, several GPUs, the GPU to build for."""

from __future__ import annotations

from dataclasses import replace

from engines.backends.registry import BACKENDS, titles_with
from engines.build.spec import CALIBRATED, CALIBRATION, CONTEXT, DEQUANTISED, GPUS, RECIPE, TARGET, EngineSpec
from engines.errors import EngineError
from engines.plan.calibration import WITHOUT, read_calibration
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.folder_files import refuse_undecodable
from engines.plan.gguf_formats import is_dequantised
from engines.plan.hardware.hardware import gpus
from engines.plan.hardware.placement import gpu_choices
from engines.plan.hardware.targets import capability_of, target_name, target_of


def calibrates(backend: str, precision: str, checkpoint: Checkpoint | None = None) -> bool:
    """Return whether calibration texts are used for quantising; not for a checkpoint that is quantised."""
    done = checkpoint is not None and checkpoint.quantisation is not None
    return backend in BACKENDS and precision in BACKENDS[backend].calibrates and not done


def builds_uncalibrated(backend: str, precision: str) -> bool:
    """Return whether the user may choose to build without calibration."""
    return backend in BACKENDS and precision in BACKENDS[backend].uncalibrated


def splits(backend: str) -> bool:
    """Return whether the weights can be split over several GPUs."""
    return backend in BACKENDS and bool(BACKENDS[backend].splits)


def refuse_single_requests(backend: str) -> None:
    """Refuse a load test of an engine that runs one request at a time.

    Raises:
        EngineError: `unsupported`.
    """
    if not BACKENDS[backend].batches:
        words = f"{BACKENDS[backend].title} runs one request at a time: users would wait for each other."
        hint = f"{titles_with('batches')} batch requests in flight."
        raise EngineError("unsupported", words, hint)


def options_of(backend: str, precision: str, calibration: str = "", gpu_count: int = 1) -> dict[str, str]:
    """Return the options of a spec: of what was chosen, only what this backend and precision take.

    Args:
        calibration: a file, WITHOUT, or empty for what the backend calibrates with by itself.
    """
    found = {}
    if builds_uncalibrated(backend, precision) and calibration != WITHOUT:
        found[RECIPE] = CALIBRATED
    if calibration not in ("", WITHOUT) and calibrates(backend, precision):
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
        kept = {name: value for name, value in spec.options.items() if name not in (CALIBRATION, RECIPE)}
        spec = replace(spec, options=kept)
    spec = with_origin(spec, checkpoint)
    if BACKENDS[spec.backend].fixed_shape:
        spec = _with_shape(spec)
    refuse_split(spec.backend, spec.gpus, checkpoint)
    contents = {CALIBRATION: read_calibration(spec.calibration).digest} if spec.calibration else {}
    return spec, contents


def with_origin(spec: EngineSpec, checkpoint: Checkpoint | None) -> EngineSpec:
    """Return the spec with the precision of the GGUF file from which its weights are dequantised, if so."""
    if checkpoint is None or not is_dequantised(spec.backend, checkpoint):
        return spec
    return replace(spec, options=spec.options | {DEQUANTISED: checkpoint.gguf_precision})


def _with_shape(spec: EngineSpec) -> EngineSpec:
    """Return the spec with the architecture and the context window that its engine is built for.

    Raises:
        EngineError: `no-gpu`: no architecture is named, and this machine has no GPU.
    """
    target = spec.target or target_of(spec.device)
    if not target:
        raise EngineError(
            "no-gpu",
            f"{BACKENDS[spec.backend].title} runs on NVIDIA GPUs, and this machine has none.",
            "Name the GPU to build for, such as `trt-playground engines build --for sm89` for an RTX 40.",
        )
    # Through its numbers, so that sm_89 and SM89 name the same engine.
    shape = {TARGET: target_name(capability_of(target)), CONTEXT: str(spec.context)}
    return replace(spec, options=spec.options | shape)


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


def _or(counts: tuple[int, ...]) -> str:
    *some, last = map(str, counts)
    return f"{', '.join(some)} or {last}" if some else last
