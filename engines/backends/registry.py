"""All backends by name. A new backend is one module and one entry here.

Importing this module imports no backend; `backend_class` does that, inside a worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Literal, cast

from engines.backends.base import Backend
from engines.build.server import KIND, REPORTED_PRECISION, host_of
from engines.build.spec import DEQUANTISED, EngineSpec
from engines.errors import EngineError


@dataclass(frozen=True)
class BackendEntry:
    """Properties of a backend that are known without importing it."""

    title: str
    target: str
    """`module:class`."""
    builds: bool
    """Whether `prepare` writes an engine to the store."""
    runs_shapes: bool = False
    """Whether it can run a model shape with random weights."""
    own_environment: bool = False
    """Whether its dependencies conflict with the app's, so that its workers need a separate interpreter."""
    calibrates: frozenset[str] = frozenset()
    """Precisions that are calibrated with texts, which the user may provide."""
    without_text: str = "built-in texts"
    """What they are calibrated with otherwise, as the user reads it."""
    uncalibrated: frozenset[str] = frozenset()
    """Those of `calibrates` that can be built without calibration too, if the user chooses so."""
    splits: Literal["", "tensors", "layers"] = ""
    """How the weights of one engine can be split over several GPUs: each has a part of every layer, and all
    compute at once (tensor parallelism), or each has some of the layers, which compute one after another."""
    batches: bool = False
    """Whether it batches requests in flight: several users share one engine."""
    servers: str = ""
    """`module:function` that returns the files with which servers run its engines; see `engines.deploy`."""
    needs_gpu: bool = False
    """Whether it runs on GPUs only."""
    hands_over: bool = True
    """Whether the process that built and checked an engine becomes its worker. Not where building leaves
    memory behind that a new process would not have."""
    remote: bool = False
    """Whether its engines run on a server: they have an address instead of a checkpoint."""
    fixed_shape: bool = False
    """Whether an engine is built for one GPU architecture and one context window."""


BACKENDS: dict[str, BackendEntry] = {
    "pytorch": BackendEntry(
        "PyTorch",
        "engines.backends.pytorch:PyTorchBackend",
        builds=False,
        runs_shapes=True,
        splits="layers",
        servers="engines.deploy.checkpoint_servers:server_files",
    ),
    "compiled": BackendEntry(
        "PyTorch compiled",
        "engines.backends.compiled.backend:CompiledBackend",
        builds=True,
        runs_shapes=True,
        splits="tensors",
    ),
    "openvino": BackendEntry(
        "OpenVINO",
        "engines.backends.openvino.backend:OpenVINOBackend",
        builds=True,
        batches=True,
        calibrates=frozenset({"int4", "int4-awq"}),
        uncalibrated=frozenset({"int4"}),
    ),
    "onnxruntime": BackendEntry(
        "ONNX Runtime", "engines.backends.onnxruntime.backend:OnnxRuntimeBackend", builds=True
    ),
    "llama-cpp": BackendEntry(
        "llama.cpp",
        "engines.backends.llama_cpp.backend:LlamaCppBackend",
        builds=True,
        calibrates=frozenset({"q4_k_m"}),
        uncalibrated=frozenset({"q4_k_m"}),
    ),
    "tensorrt": BackendEntry(
        "TensorRT",
        "engines.backends.tensorrt.backend:TensorRTBackend",
        builds=True,
        hands_over=False,  # a load keeps the kernels that it compiled with the engine
        needs_gpu=True,
        fixed_shape=True,
        calibrates=frozenset({"int8"}),
        without_text="none, weights only",
    ),
    "tensorrt-llm": BackendEntry(
        "TensorRT-LLM",
        "engines.backends.tensorrt_llm.backend:TensorRTLLMBackend",
        builds=True,
        hands_over=False,  # ModelOpt's CUDA context and modules stay in the process that quantised
        own_environment=True,
        needs_gpu=True,
        calibrates=frozenset({"fp8", "int4-awq", "int8-sq", "w4a8-awq", "nvfp4"}),
        batches=True,
        servers="engines.backends.tensorrt_llm.serve:server_files",
        splits="tensors",
    ),
    "endpoint": BackendEntry(
        "Server",
        "engines.backends.endpoint.backend:EndpointBackend",
        builds=False,
        batches=True,
        remote=True,
    ),
}
LOCAL: dict[str, BackendEntry] = {name: entry for name, entry in BACKENDS.items() if not entry.remote}
"""The backends that run a checkpoint on this machine."""


def backend_class(name: str) -> type[Backend]:
    """Import a backend and return its class.

    Raises:
        EngineError: `unknown-backend`, or `backend-not-installed`: its module cannot be imported.
    """
    if name not in BACKENDS:
        raise EngineError(
            "unknown-backend",
            f"There is no backend named {name!r}.",
            f"Choose one of {', '.join(BACKENDS)}.",
        )
    module, _, attribute = BACKENDS[name].target.partition(":")
    try:
        return cast("type[Backend]", getattr(import_module(module), attribute))
    except Exception as error:  # also OSError or RuntimeError, from an incompatible native library
        raise EngineError(
            "backend-not-installed",
            f"{BACKENDS[name].title} cannot be imported: {error}.",
            "Install it into this environment, then try again.",
        ) from error


def titles_with(capability: str) -> str:
    """Return the titles of the backends for which a property of their entry is true, as `A, B and C`."""
    *some, last = (entry.title for entry in BACKENDS.values() if getattr(entry, capability))
    return f"{', '.join(some)} and {last}" if some else last


def engine_title(spec: EngineSpec) -> str:
    """Return `OpenVINO int8`, `TensorRT-LLM fp8 on 2 GPUs`, or `vLLM bf16 at localhost:8000`.

    With the weights of a GGUF file it is `PyTorch bf16 · dequantised from Q4_K_M`.

    A backend that this release does not have is called by its name in the settings.
    """
    entry = BACKENDS.get(spec.backend)
    if entry and entry.remote:
        reported = f"{spec.options.get(KIND, entry.title)} {spec.options.get(REPORTED_PRECISION, '')}".strip()
        return f"{reported} at {host_of(spec)}"
    split = f" on {spec.gpus} GPUs" if entry and spec.gpus > 1 else ""
    target = f" for {spec.target}" if spec.target else ""
    origin = f" · dequantised from {spec.options[DEQUANTISED].upper()}" if DEQUANTISED in spec.options else ""
    return f"{entry.title if entry else spec.backend} {spec.precision}{split}{target}{origin}"
