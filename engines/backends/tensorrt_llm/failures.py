"""Translate errors of TensorRT-LLM into messages for the user.

The engine runs in a process of the library's own, also on one GPU. The library then raises `RuntimeError:
Executor worker returned error` from what that process raised, or `Executor worker died during initialization`
without a cause: what happened is in the chain of causes, or only in the log. Source: NVIDIA/TensorRT-LLM,
`tensorrt_llm/executor/proxy.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from engines.errors import EngineError
from engines.worker.error_mapping import causes, is_out_of_memory, out_of_memory

PATTERNS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"libmpi",
        "no-mpi",
        "TensorRT-LLM needs MPI, and the MPI library was not found.",
        "Install it (sudo apt-get install libopenmpi-dev), then run `trt-playground env check`.",
    ),
    (
        r"all nodes which are allocated",
        "no-mpi",
        "MPI has no free slot for the engine's process.",
        "Start trt-playground with TLLM_WORKER_USE_SINGLE_PROCESS=1, or under mpirun -n 1 --oversubscribe.",
    ),
    (
        r"undefined symbol",
        "torch-mismatch",
        "TensorRT-LLM is not compatible with the PyTorch of its environment.",
        "Recreate the environment: `trt-playground env create tensorrt-llm`.",
    ),
    (
        r"could not find nvcc|nvcc: (command )?not found|no such file or directory: '[^']*nvcc'",
        "no-cuda-toolkit",
        "TensorRT-LLM compiles kernels with nvcc, and the CUDA toolkit was not found.",
        "Install the CUDA toolkit and set CUDA_HOME to it; `trt-playground env check` says which release.",
    ),
    (
        r"incompatible device",
        "other-gpu",
        "The engine was built for another GPU or another version of TensorRT.",
        "Delete it in the store (F8, or `trt-playground engines rm`), then prepare it again.",
    ),
    (
        r"gpus are available",
        "too-few-gpus",
        "The weights should be split over more GPUs than there are.",
        "Choose fewer GPUs on Models (F2), or with --gpus.",
    ),
    (
        r"unsupported quantization_config|unsupported quant(ization)?[ _](algo|mode|method)",
        "unsupported-checkpoint",
        "TensorRT-LLM does not support the quantisation of this checkpoint.",
        "Choose the unquantised checkpoint and a precision on Models, or one exported by NVIDIA ModelOpt.",
    ),
    (
        r"unknown architecture",
        "unsupported-checkpoint",
        "The installed TensorRT-LLM does not support this model architecture.",
        "Choose another backend for this checkpoint, or a newer TensorRT-LLM.",
    ),
    (
        r"overrid\w* kv cache quantization",
        "other-kv-precision",
        "The checkpoint defines the type of its KV cache, and another one was chosen.",
        "Choose the KV precision auto on Models (F2).",
    ),
    (
        r"failed to dispatch data type float\b",
        "unsupported-precision",
        "TensorRT-LLM has no kernels for 32-bit floats.",
        "Choose bf16 or fp16 on Models (F2).",
    ),
    (
        r"got invalid argument",
        "unknown-version",
        "This version of TensorRT-LLM does not accept an argument that the playground uses.",
        "Run `trt-playground env check` and report what it prints.",
    ),
)
IN_LOG = ("no-mpi", "torch-mismatch", "no-cuda-toolkit", "unsupported-checkpoint", "other-kv-precision")
"""Codes of PATTERNS that are also looked for in the log, where other lines may contain similar words."""
NO_MEMORY = re.compile(r"insufficient gpu memory|out of memory", re.IGNORECASE)
OUTER = ("executor worker returned error", "executor worker died during initialization")
"""Texts of the library that say only that the engine's process failed."""


def known_failure(text: str) -> EngineError | None:
    """Return the EngineError for an error text of the library; None if it matches no pattern."""
    found = (EngineError(*fields) for pattern, *fields in PATTERNS if re.search(pattern, text.lower()))
    return next(found, None)


def to_engine_error(error: Exception, doing: str, log: Iterable[str] = ()) -> EngineError:
    """Return `error` as an EngineError, by the first that is known: its causes, the root first, then the log.

    Args:
        doing: What the library was doing, for the message: "starting".
        log: Lines that the library has printed meanwhile.
    """
    if isinstance(error, EngineError):
        return error
    chain = causes(error)
    for cause in reversed(chain):
        if isinstance(cause, EngineError):
            return cause
        if is_out_of_memory(cause):
            return out_of_memory()
        if known := known_failure(str(cause)):
            return known
    return _known_in_log(log) or _unknown(chain, doing)


def _known_in_log(lines: Iterable[str]) -> EngineError | None:
    for line in lines:
        if NO_MEMORY.search(line):
            return out_of_memory()
        known = known_failure(line)
        if known is not None and known.code in IN_LOG:
            return known
    return None


def _unknown(chain: list[BaseException], doing: str) -> EngineError:
    """Return the error that quotes the root cause, unless its text says only that the process failed."""
    hint = "See the log; `trt-playground env check` tests the installation."
    specific = [cause for cause in chain if not any(text in str(cause).lower() for text in OUTER)]
    if not specific:
        message = f"TensorRT-LLM's engine process ended while {doing}, without an error."
        return EngineError("engine-failed", message, f"The host's memory may be full. {hint}")
    text = str(specific[-1]).strip()
    first = next(iter(text.splitlines()), type(specific[-1]).__name__)[:300]
    return EngineError("engine-failed", f"TensorRT-LLM failed while {doing}: {first}", hint)


@contextmanager
def translate_errors(doing: str, log: Iterable[str] = ()) -> Iterator[None]:
    """Raise exceptions of the block as EngineError; see `to_engine_error` for the arguments."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        raise to_engine_error(error, doing, log) from error
