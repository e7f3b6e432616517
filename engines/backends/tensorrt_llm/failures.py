"""Translate errors of TensorRT-LLM into messages for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engines.errors import EngineError

PATTERNS: tuple[tuple[str, str, str, str], ...] = (
    (
        "libmpi",
        "no-mpi",
        "TensorRT-LLM needs MPI, and the MPI library was not found.",
        "Install it (sudo apt-get install libopenmpi-dev), then run `trt-playground env check`.",
    ),
    (
        "all nodes which are allocated",
        "no-mpi",
        "MPI has no free slot for the engine's process.",
        "Start trt-playground with TLLM_WORKER_USE_SINGLE_PROCESS=1, or under mpirun -n 1 --oversubscribe.",
    ),
    (
        "undefined symbol",
        "torch-mismatch",
        "TensorRT-LLM is not compatible with the PyTorch of its environment.",
        "Recreate the environment: `trt-playground env create tensorrt-llm`.",
    ),
    (
        "incompatible device",
        "other-gpu",
        "The engine was built for another GPU or another version of TensorRT.",
        "Delete it in the store (F8, or `trt-playground engines rm`), then prepare it again.",
    ),
    (
        "gpus are available",
        "too-few-gpus",
        "The weights should be split over more GPUs than there are.",
        "Choose fewer GPUs on Models (F2), or with --gpus.",
    ),
    (
        "unsupported quantization_config",
        "unsupported-checkpoint",
        "TensorRT-LLM does not support the quantisation of this checkpoint.",
        "Choose the unquantised checkpoint and a precision on Models, or one exported by NVIDIA ModelOpt.",
    ),
    (
        "unknown architecture",
        "unsupported-checkpoint",
        "The installed TensorRT-LLM does not support this model architecture.",
        "Choose another backend for this checkpoint, or a newer TensorRT-LLM.",
    ),
    (
        "got invalid argument",
        "unknown-version",
        "This version of TensorRT-LLM does not accept an argument that the playground uses.",
        "Run `trt-playground env check` and report what it prints.",
    ),
)


def known_failure(text: str) -> EngineError | None:
    """Return the EngineError for an error text of the library; None if it matches no pattern."""
    found = (EngineError(*fields) for pattern, *fields in PATTERNS if pattern in text.lower())
    return next(found, None)


def to_engine_error(error: Exception, doing: str) -> Exception:
    """Return `error` as an EngineError. Out-of-memory errors are unchanged (see `error_mapping`)."""
    text = str(error)
    if isinstance(error, EngineError) or "out of memory" in text.lower() or isinstance(error, MemoryError):
        return error
    if known := known_failure(text):
        return known
    first = next(iter(text.strip().splitlines()), type(error).__name__)[:300]
    return EngineError(
        "engine-failed",
        f"TensorRT-LLM failed while {doing}: {first}",
        "See the log; `trt-playground env check` tests the installation.",
    )


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Raise exceptions of the block as EngineError.

    Args:
        doing: What the library was doing, for the message: "starting".
    """
    try:
        yield
    except Exception as error:
        raise to_engine_error(error, doing) from error
