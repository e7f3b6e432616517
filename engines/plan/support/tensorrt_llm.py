"""Support of `tensorrt-llm`: plain floats and ModelOpt's quantisation. No row has been measured yet."""

from __future__ import annotations

from collections.abc import Mapping

from engines.environments.recipe import NEWEST
from engines.plan.checkpoint.quantisation import Quantisation, modelopt_precision
from engines.plan.hardware.hardware import Device
from engines.plan.support.need import Need
from engines.plan.support.release import is_older, release_of
from engines.plan.support.row import Rule, Support
from engines.plan.support.runtime import MB, Runtime
from engines.plan.support.tensorrt_llm_models import ARRIVALS, BLACKWELL_ONLY, LISTED, UNSUPPORTED
from engines.plan.weight_formats import PRECISIONS

DOCUMENTATION = "https://nvidia.github.io/TensorRT-LLM/"
TABLE = f"{DOCUMENTATION}features/quantization.html, hardware support; not run"
GPUS = f"{DOCUMENTATION}supported-hardware.html: Ampere and newer; not run"
OTHER_CHECKPOINT = "Use the plain checkpoint and choose a precision here, or an export of NVIDIA ModelOpt."
NEWER = f"`trt-playground env create tensorrt-llm --release {NEWEST['tensorrt-llm']}` installs a newer one."
UNSUPPORTED_FORMATS = {"mxfp4": "TensorRT-LLM loads MXFP4, but this playground has no such precision."}
"""Formats that TensorRT-LLM loads and that cannot be chosen here."""
NVFP4_ON_HOPPER = "1.3.0rc20"
"""The first release that runs it there."""
ENGINES_ONLY = ("int8-sq",)
"""Precisions that TensorRT-LLM calibrates while it builds an engine, and does not load as a checkpoint."""

NEEDS: dict[str, Need] = {
    "*": Need((), "trt-playground env create tensorrt-llm.", environment="tensorrt-llm"),
    "int8-sq": Need(
        (),
        "Choose FP8, or install a release up to 1.2.",
        environment="tensorrt-llm",
        needs_engine_class=True,
    ),
}
DEFAULTS = (("cuda", "fp8"), ("cuda", "bf16"))
KV_CHOICES = {
    "bf16": ("bf16", "fp8"),
    "fp16": ("f16", "fp8"),
    "fp8": ("bf16", "fp8"),
    "int8-sq": ("bf16",),
    "int4-awq": ("bf16", "fp8"),
    "w4a8-awq": ("bf16", "fp8"),
    "nvfp4": ("bf16", "fp8"),
}
RUNTIMES: dict[str, Runtime] = {
    # Not measured: CUDA context, workspaces and one captured graph, as documented. The pool is sized from the
    # context.
    "cuda": Runtime(
        base=3000 * MB,
        weight_copies=1.0,
        prefill_tokens=8192,
        build_base=2000 * MB,
        block_tokens=32,
        spare_blocks=2,
        reads_checkpoint=True,
    ),
}
RULES: tuple[Rule, ...] = (
    Rule(
        "tensorrt-llm",
        "*",
        "cpu",
        Support("unavailable", "TensorRT-LLM runs on NVIDIA GPUs only.", "Choose OpenVINO on the CPU."),
        GPUS,
    ),
    *(
        Rule(
            "tensorrt-llm",
            name,
            "cuda",
            Support("native", f"Computed in {name.upper()} by the GPU."),
            GPUS,
            compute_capability=(8, 0),
        )
        for name in ("bf16", "fp16")
    ),
    Rule(
        "tensorrt-llm",
        "fp32",
        "cuda",
        Support("unavailable", "TensorRT-LLM has no kernels for 32-bit floats.", "Choose BF16 or FP16."),
        "NVIDIA/TensorRT-LLM, issue 5260: most kernels have no float32; not run",
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "fp8",
        "cuda",
        Support("native", "Weights and activations in FP8, calibrated by ModelOpt."),
        TABLE,
        compute_capability=(8, 9),
    ),
    Rule(
        "tensorrt-llm",
        "fp8",
        "cuda",
        Support("unavailable", "FP8 needs compute capability 8.9 (Ada).", "Choose INT4 AWQ."),
        TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "int8-sq",
        "cuda",
        Support("native", "INT8 weights and activations, in a TensorRT engine of releases up to 1.2."),
        f"{DOCUMENTATION}1.2: the PyTorch-based LLM API has no such linear layer; not run",
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "int4-awq",
        "cuda",
        Support("partial", "4-bit weights; not in NVIDIA's table for Blackwell.", "Choose NVFP4 there."),
        TABLE,
        compute_capability=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "int4-awq",
        "cuda",
        Support(
            "partial",
            "4-bit weights calibrated by ModelOpt, computed in 16 bits.",
            "For full accuracy use BF16.",
        ),
        TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "w4a8-awq",
        "cuda",
        Support(
            "unavailable", "INT4 AWQ + FP8 is not in NVIDIA's table for Blackwell.", "Choose NVFP4 there."
        ),
        TABLE,
        compute_capability=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "w4a8-awq",
        "cuda",
        Support("native", "4-bit weights and FP8 activations, calibrated by ModelOpt on this GPU."),
        TABLE,
        compute_capability=(8, 9),
    ),
    Rule(
        "tensorrt-llm",
        "w4a8-awq",
        "cuda",
        Support("unavailable", "Its FP8 activations need compute capability 8.9 (Ada).", "Choose INT4 AWQ."),
        TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "nvfp4",
        "cuda",
        Support("native", "Weights and activations in NVFP4, calibrated by ModelOpt on this GPU."),
        TABLE,
        compute_capability=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "nvfp4",
        "cuda",
        Support("partial", "NVFP4 weights, computed in 16 bits on Hopper.", "For speed choose FP8."),
        "NVIDIA/TensorRT-LLM, release note of 1.3.0rc20: weight-only through Marlin; not run",
        compute_capability=(9, 0),
        below=(10, 0),
        since=NVFP4_ON_HOPPER,
    ),
    Rule(
        "tensorrt-llm",
        "nvfp4",
        "cuda",
        Support(
            "unavailable",
            f"NVFP4 needs compute capability 10.0 (Blackwell), or TensorRT-LLM {NVFP4_ON_HOPPER} on Hopper.",
            "Choose FP8.",
        ),
        TABLE,
        compute_capability=(9, 0),
        below=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "nvfp4",
        "cuda",
        Support("unavailable", "NVFP4 needs compute capability 10.0 (Blackwell).", "Choose FP8."),
        TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "*",
        "cuda",
        Support(
            "unavailable",
            "TensorRT-LLM does not quantise to plain INT8 or INT4; it loads only calibrated checkpoints.",
            "Choose FP8 or INT4 AWQ.",
        ),
        "NVIDIA/TensorRT-LLM, tensorrt_llm/llmapi/llm_utils.py; not run",
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "*",
        "cuda",
        Support(
            "unavailable",
            "TensorRT-LLM needs compute capability 8.0 (Ampere) or newer.",
            "Choose PyTorch on this GPU.",
        ),
        GPUS,
    ),
)


def checkpoint_support(
    architecture: str,
    config: Mapping[str, object],
    quantisation: Quantisation | None,
    precision: str | None,
    device: Device | None = None,
    context: int | None = None,
) -> Support | None:
    """Return how the checkpoint limits the support; see `row.CheckpointSupport`."""
    del config, context
    return (
        _unreadable(quantisation)
        or (_other_precision(quantisation, precision) if precision else None)
        or _of_another_gpu(architecture, device)
        or _architecture_support(architecture)
    )


def _unreadable(found: Quantisation | None) -> Support | None:
    precision = modelopt_precision(found) if found else ""
    if found is None or (precision and precision not in ENGINES_ONLY):
        return None
    if precision:
        title = PRECISIONS[precision].title
        reason = f"TensorRT-LLM quantises to {title} itself and does not load such checkpoints."
    else:
        reason = UNSUPPORTED_FORMATS.get(
            found.name.lower(),
            f"TensorRT-LLM does not load checkpoints quantised by {found.name}. {found.description}",
        )
    return Support("unavailable", reason, OTHER_CHECKPOINT)


def _other_precision(found: Quantisation | None, precision: str) -> Support | None:
    own = modelopt_precision(found) if found else ""
    if not own or own == precision:
        return None
    title = PRECISIONS[own].title
    reason = f"This checkpoint is already quantised to {title}."
    return Support("unavailable", reason, f"Choose {title}, or use the plain checkpoint.")


def _of_another_gpu(architecture: str, device: Device | None) -> Support | None:
    capability = device.compute_capability if device else None
    if architecture not in BLACKWELL_ONLY or capability is None or capability >= (10, 0):
        return None
    reason = f"TensorRT-LLM runs {architecture} on Blackwell GPUs only (compute capability 10.0)."
    return Support("unavailable", reason, "Choose another backend for this checkpoint.")


def _architecture_support(architecture: str) -> Support | None:
    """Return the support of a model; one in neither list is tried, since newer releases add models."""
    if architecture in UNSUPPORTED:
        reason = f"TensorRT-LLM's LLM API does not support {architecture}."
        return Support("unavailable", reason, "Choose another backend for this checkpoint.")
    arrival, release = ARRIVALS.get(architecture), release_of("tensorrt-llm")
    if arrival and not is_older(arrival.absent, release) and is_older(release, arrival.listed):
        reason = f"TensorRT-LLM {release} does not support {architecture}; {arrival.listed} does."
        return Support("unavailable", reason, NEWER)
    if architecture in LISTED or (arrival and not is_older(release, arrival.listed)):
        return None
    reason = f"NVIDIA's list of supported models does not include {architecture}; loading it is tried."
    return Support("partial", reason, "Choose another backend if it does not load.")
