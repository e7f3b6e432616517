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


def offered_precisions(checkpoint: Checkpoint | None) -> tuple[str, ...]:
    """Return the precisions to choose from: of a GGUF file its own, else all of PRECISIONS."""
    if checkpoint is not None and checkpoint.gguf_precision:
        return (checkpoint.gguf_precision,)
    return tuple(PRECISIONS)
