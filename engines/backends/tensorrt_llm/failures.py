"""What TensorRT-LLM says when it fails, as words for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engines.errors import EngineError

PATTERNS: tuple[tuple[str, str, str, str], ...] = (
    (
        "libmpi",
        "no-mpi",
        "TensorRT-LLM needs MPI, and its library is not found.",
        "Install it (sudo apt-get install libopenmpi-dev), then run `trt-playground env check`.",
    ),
    (
        "all nodes which are allocated",
        "no-mpi",
        "MPI has no slot for the engine's process.",
        "Start trt-playground with TLLM_WORKER_USE_SINGLE_PROCESS=1, or under mpirun -n 1 --oversubscribe.",
    ),
    (
        "undefined symbol",
        "torch-mismatch",
        "TensorRT-LLM does not fit the PyTorch of its environment.",
        "Make the environment anew: `trt-playground env create tensorrt-llm`.",
    ),
    (
        "incompatible device",
        "other-gpu",
        "The engine was built for another GPU or another TensorRT.",
        "Delete it in the store (F8, or `trt-playground engines rm`), then prepare it again.",
    ),
    (
        "gpus are available",
        "too-few-gpus",
        "There are fewer GPUs than the weights are to be split over.",
        "Choose fewer on Prepare (F2), or with --gpus.",
    ),
    (
        "unsupported quantization_config",
        "unsupported-checkpoint",
        "TensorRT-LLM cannot load the way this checkpoint is quantised.",
        "Take the plain checkpoint and choose a precision here, or one exported by NVIDIA ModelOpt.",
    ),
    (
        "unknown architecture",
        "unsupported-checkpoint",
        "The installed TensorRT-LLM has no such model.",
        "Choose another backend for this checkpoint, or a newer TensorRT-LLM.",
    ),
    (
        "got invalid argument",
        "unknown-version",
        "This version of TensorRT-LLM does not know an argument that the playground uses.",
        "Run `trt-playground env check` and report what it prints.",
    ),
)


def known_failure(text: str) -> EngineError | None:
    """What a text of the library means; None for one that is not known."""
    found = (EngineError(*words) for mark, *words in PATTERNS if mark in text.lower())
    return next(found, None)


def in_words(error: Exception, doing: str) -> Exception:
    """The error as an EngineError; one that is told elsewhere, as out of memory, stays as it is."""
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
    """Raise what goes wrong within the block in words."""
    try:
        yield
    except Exception as error:
        raise in_words(error, doing) from error
