"""In which types a GGUF model is stored, and how that is called.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections import Counter

from engines.gguf.model_file import GgufModel
from engines.gguf.tensor_types import FILE_TYPES, TENSOR_TYPES, TensorType

PLAIN_NAMES = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
"""Names of our precisions for types of llama.cpp that are the same."""
_INSIDE = {"IQ3_M": "IQ3_S", "IQ3_XS": "IQ3_S", "IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S"}
"""Mixtures that have another name than the type of most of their tensors."""


def format_name(model: GgufModel) -> str:
    """Return what llama.cpp calls the mixture of types, such as `Q4_K_M`.

    Some files have another number than their tensors say, and files that others mixed have none that fits:
    those are called by the type of most weights.
    """
    weights = weights_by_type(model)
    named = FILE_TYPES.get(_number(model), "")
    if named and tensor_type_of(named).name in weights:
        return named
    return weights.most_common(1)[0][0] if weights else "F32"


def tensor_type_of(name: str) -> TensorType:
    """Return the type of most tensors in a mixture, or the type of this name."""
    inside = _INSIDE.get(name, name)
    fitting = (one for one in TENSOR_TYPES.values() if f"{inside}_".startswith(f"{one.name}_"))
    return max(fitting, key=lambda one: len(one.name))


def precision_name(model: GgufModel) -> str:
    """Return the name of the precision, such as `q4_k_m`, or `fp16` for floats."""
    name = format_name(model)
    return PLAIN_NAMES.get(name, name.lower())


def weights_by_type(model: GgufModel) -> Counter[str]:
    """Return the number of weights in matrices by the name of their type."""
    found: Counter[str] = Counter()
    for tensor in model.tensors.values():
        if len(tensor.shape) > 1:
            found[tensor.type.name] += tensor.elements
    return found


def tensors_by_type(model: GgufModel) -> Counter[str]:
    """Return the number of tensors by the name of their type."""
    return Counter(tensor.type.name for tensor in model.tensors.values())


def _number(model: GgufModel) -> int:
    value = model.metadata.get("general.file_type")
    return value if type(value) is int else -1
