"""The precisions that GGUF files are stored in, and the backend that runs them as they are.

They are named as llama.cpp names them. A file has one of them and is not converted, so they are not among the
PRECISIONS that engines are built in.
"""

from __future__ import annotations

from engines.gguf.quantisation import PLAIN_NAMES, tensor_type_of
from engines.gguf.tensor_types import FILE_TYPES, TENSOR_TYPES
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.weight_formats import PRECISIONS, Precision

GGUF_BACKEND = "llama-cpp"
DEQUANTISING_BACKEND = "pytorch"
"""The backend that runs the dequantised form of a GGUF file, in the precisions PLAIN."""
PLAIN = ("fp32", "bf16", "fp16")


def _precision(name: str) -> Precision:
    bits = tensor_type_of(name).bits
    about = f"llama.cpp's {name}, as it is in the file: {bits:.3g} bits and more for each weight."
    return Precision(name.lower(), name, about, bits, bits)


_NAMES = (*FILE_TYPES.values(), *(one.name for one in TENSOR_TYPES.values()))
GGUF_PRECISIONS: dict[str, Precision] = {
    one.name: one
    for one in map(_precision, _NAMES)
    if one.title not in PLAIN_NAMES and one.name not in PRECISIONS
}
"""Of files that were quantised elsewhere. Their real sizes are those of the file."""


def precision_of(name: str) -> Precision:
    """Return a precision that is built here or that GGUF files have.

    Raises:
        KeyError: there is none of this name.
    """
    return PRECISIONS[name] if name in PRECISIONS else GGUF_PRECISIONS[name]


def is_precision(name: str) -> bool:
    """Return whether there is a precision of this name."""
    return name in PRECISIONS or name in GGUF_PRECISIONS


def offered_precisions(checkpoint: Checkpoint | None, backend: str = GGUF_BACKEND) -> tuple[str, ...]:
    """Return the precisions to choose from: all of PRECISIONS; of a GGUF file its own, dequantised PLAIN."""
    if checkpoint is None or not checkpoint.gguf_precision:
        return tuple(PRECISIONS)
    return PLAIN if backend == DEQUANTISING_BACKEND else (checkpoint.gguf_precision,)


def is_dequantised(backend: str, checkpoint: Checkpoint | None) -> bool:
    """Return whether an engine of this backend has the dequantised weights of a GGUF file."""
    is_file = checkpoint is not None and bool(checkpoint.gguf_precision)
    return is_file and backend == DEQUANTISING_BACKEND
