"""What runs where, and why not: a table.

A backend that is added brings its rows for RULES and NEEDS, and its DEFAULTS.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Literal

from engines.environments.interpreters import interpreter
from engines.plan.hardware import Device

State = Literal["native", "fallback", "unavailable"]


@dataclass(frozen=True)
class Support:
    """Whether a backend runs a precision on a device."""

    state: State
    """`native`; `fallback`: weight-only or emulated: stored so, computed otherwise; `unavailable`."""
    reason: str
    """One sentence for the user."""
    remedy: str = ""
    """What would change it; empty where nothing does."""


@dataclass(frozen=True)
class Rule:
    """A row of the table. Of the rows that fit, the first one decides."""

    backend: str
    precision: str
    """A name of PRECISIONS, or `*` for all of them."""
    kind: str
    """`cpu`, `cuda`, or `*`."""
    support: Support
    source: str
    """Where it was measured or written."""
    any_feature: frozenset[str] = frozenset()
    """CPU features of which the device must have one; empty asks for none."""
    compute_capability: tuple[int, int] | None = None
    """The least that the GPU must have."""

    def fits(self, backend: str, precision: str, device: Device) -> bool:
        """Whether this row speaks of `precision` with `backend` on `device`."""
        named = self.backend == backend and self.precision in (precision, "*")
        able = not self.any_feature or bool(self.any_feature & device.features)
        least, has = self.compute_capability, device.compute_capability
        new_enough = least is None or (has is not None and has >= least)
        return named and able and new_enough and self.kind in (device.kind, "*")


@dataclass(frozen=True)
class Need:
    """What must be installed."""

    modules: tuple[str, ...]
    """Names of imports."""
    remedy: str
    """How to get them."""
    compiles: bool = False
    """Whether it wants a C++ compiler."""
    environment: str = ""
    """The backend whose environment has the libraries, where they collide with ours."""
    engine_class: bool = False
    """Whether that environment must hold a release that builds TensorRT engines."""

    @property
    def missing(self) -> str:
        """What is not there, in one sentence; empty where all is. Imports nothing."""
        if self.environment:
            return self._missing_of_environment
        absent = [name for name in self.modules if not _installed(name)]
        if absent:
            return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed."
        return (
            "It compiles with a C++ compiler, and none is found." if self.compiles and not _compiler() else ""
        )

    @property
    def _missing_of_environment(self) -> str:
        found = interpreter(self.environment)
        if found is None:
            return "It lives in an environment of its own, and there is none."
        if self.engine_class and not found.builds_engines:
            return "It needs a TensorRT engine, and the installed release builds none."
        return ""


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None


@cache
def _compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++", "cl") if name)


_TORCH = ("torch", "transformers")
_TORCHAO = Need(("torchao",), "pip install 'trt-playground[compiled]', or choose a plain precision.")
NEEDS: dict[tuple[str, str], Need] = {
    ("pytorch", "*"): Need(_TORCH, "pip install torch transformers."),
    ("compiled", "*"): Need(_TORCH, "pip install torch transformers; apt install g++.", compiles=True),
    ("compiled", "int8"): _TORCHAO,
    ("compiled", "int4"): _TORCHAO,
    ("compiled", "fp8"): _TORCHAO,
    ("openvino", "*"): Need(("openvino", "openvino_genai"), "pip install openvino openvino-genai."),
    ("tensorrt-llm", "*"): Need((), "trt-playground env create tensorrt-llm.", environment="tensorrt-llm"),
    ("tensorrt-llm", "int8-sq"): Need(
        (), "Choose FP8; releases up to 1.2 do.", environment="tensorrt-llm", engine_class=True
    ),
}
"""By backend and precision, `*` for all of them."""

_BF16_X86 = frozenset({"amx_bf16", "avx512_bf16"})
_BF16_CPU = _BF16_X86 | {"arm_bf16"}
_MEASURED = "measured on a 2-core Xeon with AMX, openvino-genai 2026.4.1, torch 2.13"
_MEASURED_GPU = "measured on one H200, torch 2.11, transformers 5.17, torchao 0.18"
_WEIGHT_ONLY = "a quantised engine is what the other backends build"

_TRTLLM = "https://nvidia.github.io/TensorRT-LLM/"
_TRTLLM_TABLE = f"{_TRTLLM}features/quantization.html, hardware support; not run here"
_TRTLLM_GPUS = f"{_TRTLLM}supported-hardware.html: Ampere and newer; not run here"

_EMULATED_BF16 = Support(
    "fallback", "BF16 is emulated before compute capability 8.0 (Ampere).", "Choose FP16 on this GPU."
)
RULES: tuple[Rule, ...] = (
    # PyTorch is the reference: plain floats, run by transformers as they are.
    Rule("pytorch", "fp32", "*", Support("native", "Computed in 32-bit floats: the reference."), _MEASURED),
    Rule(
        "pytorch",
        "bf16",
        "cpu",
        Support(
            "native", "Computed in BF16 by this CPU; at batch 1 no faster than FP32, but half the memory."
        ),
        _MEASURED,
        any_feature=_BF16_CPU,
    ),
    Rule(
        "pytorch",
        "bf16",
        "cpu",
        Support(
            "fallback",
            "This CPU has no BF16 instructions: PyTorch converts, which may be slower than FP32.",
            "Choose FP32 for speed.",
        ),
        "oneDNN, developer guide, data types: hardware limitations of bf16",
    ),
    Rule(
        "pytorch",
        "bf16",
        "cuda",
        Support("native", "Computed in BF16 by the tensor cores."),
        "https://docs.nvidia.com/cuda/cuda-c-programming-guide/#compute-capabilities",
        compute_capability=(8, 0),
    ),
    Rule(
        "pytorch",
        "bf16",
        "cuda",
        _EMULATED_BF16,
        "https://docs.pytorch.org/docs/stable/generated/torch.cuda.is_bf16_supported.html",
    ),
    Rule("pytorch", "fp16", "cuda", Support("native", "Computed in FP16 by the GPU."), "PyTorch"),
    Rule(
        "pytorch",
        "fp16",
        "cpu",
        Support(
            "unavailable", "CPUs without FP16 arithmetic convert every operation.", "Choose BF16 or FP32."
        ),
        "CPU FP16 arithmetic is found from AVX512-FP16 and AMX-FP16 on; not measured here",
    ),
    Rule(
        "pytorch",
        "*",
        "*",
        Support(
            "unavailable",
            f"The PyTorch side is the reference and runs plain floats: {_WEIGHT_ONLY}.",
            "Choose FP32 or BF16 here, and the quantised precision on the other side.",
        ),
        "a choice of this project: the reference stays what transformers runs without any quantiser",
    ),
    # transformers with a static cache, compiled; torchao quantises weights only.
    Rule("compiled", "fp32", "*", Support("native", "Computed in 32-bit floats, compiled."), _MEASURED_GPU),
    Rule(
        "compiled",
        "bf16",
        "cuda",
        Support("native", "Computed in BF16, compiled."),
        _MEASURED_GPU,
        compute_capability=(8, 0),
    ),
    Rule(
        "compiled",
        "bf16",
        "cuda",
        _EMULATED_BF16,
        "https://docs.pytorch.org/docs/stable/generated/torch.cuda.is_bf16_supported.html",
    ),
    Rule(
        "compiled",
        "bf16",
        "cpu",
        Support("native", "Computed in BF16, compiled."),
        _MEASURED,
        any_feature=_BF16_CPU,
    ),
    Rule(
        "compiled",
        "bf16",
        "cpu",
        Support("fallback", "This CPU has no BF16 instructions: PyTorch converts.", "Choose FP32 for speed."),
        "oneDNN, developer guide, data types: hardware limitations of bf16",
    ),
    Rule("compiled", "fp16", "cuda", Support("native", "Computed in FP16, compiled."), "PyTorch"),
    Rule(
        "compiled",
        "fp16",
        "cpu",
        Support(
            "unavailable", "CPUs without FP16 arithmetic convert every operation.", "Choose BF16 or FP32."
        ),
        "CPU FP16 arithmetic is found from AVX512-FP16 and AMX-FP16 on; not measured here",
    ),
    Rule(
        "compiled",
        "int8",
        "*",
        Support(
            "fallback",
            "8-bit weights by torchao, computed in BF16.",
            "Choose BF16 for the accuracy of the checkpoint.",
        ),
        _MEASURED_GPU,
    ),
    Rule(
        "compiled",
        "int4",
        "*",
        Support(
            "fallback",
            "4-bit weights in groups of 128, computed in BF16; the head stays 8-bit.",
            "Choose BF16 for the accuracy of the checkpoint.",
        ),
        _MEASURED_GPU,
    ),
    Rule(
        "compiled",
        "fp8",
        "cuda",
        Support(
            "fallback",
            "8-bit float weights by torchao, computed in BF16; the head stays 16-bit.",
            "Choose BF16 for the accuracy of the checkpoint.",
        ),
        _MEASURED_GPU,
        compute_capability=(8, 9),
    ),
    Rule(
        "compiled",
        "fp8",
        "cuda",
        Support("unavailable", "FP8 conversions need compute capability 8.9 (Ada).", "Choose INT8."),
        "https://docs.nvidia.com/cuda/cuda-c-programming-guide/#compute-capabilities",
    ),
    Rule(
        "compiled",
        "*",
        "*",
        Support(
            "unavailable",
            "torchao stores weights as INT8, INT4 or, on GPUs, FP8; the rest lacks kernels or calibration.",
            "Choose INT8 or INT4.",
        ),
        "torchao 0.18: Int8WeightOnlyConfig, Int4WeightOnlyConfig and Float8WeightOnlyConfig",
    ),
    # OpenVINO GenAI, paged attention on the CPU, graphs built by this project.
    Rule(
        "openvino",
        "*",
        "cuda",
        Support("unavailable", "OpenVINO does not run on NVIDIA GPUs.", "Choose the CPU."),
        "OpenVINO, inference devices: its GPU plug-in is for Intel GPUs",
    ),
    Rule("openvino", "fp32", "cpu", Support("native", "Computed in 32-bit floats."), _MEASURED),
    Rule(
        "openvino",
        "bf16",
        "cpu",
        Support("native", "Computed in BF16 by this CPU."),
        _MEASURED,
        any_feature=_BF16_X86,
    ),
    Rule(
        "openvino",
        "bf16",
        "cpu",
        Support(
            "fallback",
            "This CPU has no BF16 instructions: weights take 16 bits and are computed in FP32.",
            "Choose INT8 for speed.",
        ),
        "OpenVINO, CPU device: bf16 is computed natively with AVX512-BF16 or AMX, else in f32",
    ),
    Rule(
        "openvino",
        "fp16",
        "cpu",
        Support(
            "unavailable",
            "FP16 execution in OpenVINO's paged pipeline gives NaN and garbage text on CPUs.",
            "Choose BF16 for the same size, or FP32 for the same accuracy.",
        ),
        _MEASURED,
    ),
    Rule(
        "openvino",
        "int8",
        "cpu",
        Support("native", "8-bit weights and dynamically quantised activations."),
        _MEASURED,
    ),
    Rule(
        "openvino",
        "int4",
        "cpu",
        Support("native", "4-bit weights, unpacked in the kernels, and 8-bit activations."),
        _MEASURED,
    ),
    Rule(
        "openvino",
        "int8-sq",
        "cpu",
        Support(
            "unavailable", "SmoothQuant needs calibration, which this builder does not do.", "Choose INT8."
        ),
        "SmoothQuant, arXiv:2211.10438: scales come from calibration data",
    ),
    Rule(
        "openvino",
        "int4-awq",
        "cpu",
        Support("unavailable", "AWQ needs calibration, which this builder does not do.", "Choose INT4."),
        "AWQ, arXiv:2306.00978: scales come from calibration data",
    ),
    Rule(
        "openvino",
        "*",
        "cpu",
        Support(
            "unavailable",
            "CPUs have no FP8 or NVFP4 arithmetic, so that this builder writes integers only.",
            "Choose INT8 or INT4 here.",
        ),
        "FP8 and NVFP4 are formats of NVIDIA's tensor cores (Ada and Hopper; Blackwell)",
    ),
    # TensorRT-LLM: plain floats, and what ModelOpt quantises. None of these rows has been measured here.
    Rule(
        "tensorrt-llm",
        "*",
        "cpu",
        Support("unavailable", "TensorRT-LLM runs on NVIDIA GPUs only.", "Choose OpenVINO on the CPU."),
        _TRTLLM_GPUS,
    ),
    *(
        Rule(
            "tensorrt-llm",
            name,
            "cuda",
            Support("native", f"Computed in {name.upper()} by the GPU."),
            _TRTLLM_GPUS,
            compute_capability=(8, 0),
        )
        for name in ("fp32", "bf16", "fp16")
    ),
    Rule(
        "tensorrt-llm",
        "fp8",
        "cuda",
        Support("native", "Weights and activations in FP8, calibrated by ModelOpt."),
        _TRTLLM_TABLE,
        compute_capability=(8, 9),
    ),
    Rule(
        "tensorrt-llm",
        "fp8",
        "cuda",
        Support("unavailable", "FP8 needs compute capability 8.9 (Ada).", "Choose INT4 AWQ."),
        _TRTLLM_TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "int8-sq",
        "cuda",
        Support("native", "INT8 weights and activations, in a TensorRT engine of releases up to 1.2."),
        f"{_TRTLLM}1.2: the PyTorch-based LLM API has no such linear layer; not run here",
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "int4-awq",
        "cuda",
        Support("fallback", "4-bit weights; not in NVIDIA's table for Blackwell.", "Choose NVFP4 there."),
        _TRTLLM_TABLE,
        compute_capability=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "int4-awq",
        "cuda",
        Support(
            "fallback",
            "4-bit weights calibrated by ModelOpt, computed in 16 bits.",
            "Choose BF16 for accuracy.",
        ),
        _TRTLLM_TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "w4a8-awq",
        "cuda",
        Support(
            "unavailable", "INT4 AWQ + FP8 is not in NVIDIA's table for Blackwell.", "Choose NVFP4 there."
        ),
        _TRTLLM_TABLE,
        compute_capability=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "w4a8-awq",
        "cuda",
        Support("native", "4-bit weights and FP8 activations, calibrated by ModelOpt; never tried here."),
        _TRTLLM_TABLE,
        compute_capability=(8, 9),
    ),
    Rule(
        "tensorrt-llm",
        "w4a8-awq",
        "cuda",
        Support("unavailable", "Its FP8 activations need compute capability 8.9 (Ada).", "Choose INT4 AWQ."),
        _TRTLLM_TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "nvfp4",
        "cuda",
        Support("native", "Weights and activations in NVFP4, calibrated by ModelOpt on this GPU."),
        _TRTLLM_TABLE,
        compute_capability=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "nvfp4",
        "cuda",
        Support("unavailable", "NVFP4 needs compute capability 10.0 (Blackwell).", "Choose FP8."),
        _TRTLLM_TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "*",
        "cuda",
        Support(
            "unavailable",
            "TensorRT-LLM loads INT8 and INT4 weights only as others have calibrated them.",
            "Choose FP8 or INT4 AWQ.",
        ),
        "NVIDIA/TensorRT-LLM, tensorrt_llm/llmapi/llm_utils.py; not run here",
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
        _TRTLLM_GPUS,
    ),
)

DEFAULTS: tuple[tuple[str, str, str], ...] = (
    ("openvino", "cpu", "int8"),
    ("pytorch", "cpu", "fp32"),
    ("pytorch", "cuda", "bf16"),
    ("pytorch", "cuda", "fp16"),
    ("compiled", "cuda", "bf16"),
    ("compiled", "cuda", "fp16"),
    ("compiled", "cpu", "bf16"),
    ("compiled", "cpu", "fp32"),
    ("tensorrt-llm", "cuda", "fp8"),
    ("tensorrt-llm", "cuda", "bf16"),
)
"""(backend, kind of device, precision), best first: the first native one is chosen until the user chooses."""
