"""How a checkpoint is quantised, by its own config files, and which libraries can load it.

Sources: `hf_quant_config.json` of NVIDIA ModelOpt's export, `quantization_config` of transformers
(https://huggingface.co/docs/transformers/quantization/overview).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.plan.checkpoint.json_file import read_json_object

_LOADERS = {
    "gptq": "PyTorch with gptqmodel, or vLLM, can load it",
    "awq": "PyTorch with autoawq, or vLLM, can load it",
    "bitsandbytes": "PyTorch with bitsandbytes on a GPU can load it",
    "compressed-tensors": "PyTorch with compressed-tensors, or vLLM, can load it",
    "fp8": "PyTorch on a GPU with FP8 (compute capability 8.9 and newer), vLLM or TensorRT-LLM can load it",
    "fbgemm_fp8": "PyTorch on a GPU with FP8 (compute capability 8.9 and newer) or vLLM can load it",
    "mxfp4": "PyTorch with MXFP4 kernels, vLLM or TensorRT-LLM can load it",
    "modelopt": "TensorRT-LLM or vLLM can load it",
    "torchao": "PyTorch with torchao can load it",
    "hqq": "PyTorch with hqq can load it",
    "quanto": "PyTorch with optimum-quanto can load it",
}
MAX_NAME = 40
"""Characters of a name from the checkpoint that are shown."""


@dataclass(frozen=True)
class Quantisation:
    """The quantisation of a checkpoint's weights."""

    name: str
    """The method as the config names it, such as `NVFP4`, `gptq` or `bitsandbytes`."""
    bits: int | None
    """Bits of a quantised weight without scales; None where the checkpoint does not say."""
    description: str
    """What it is and which libraries can load it: one sentence for the user."""
    kv_precision: str = ""
    """Format of the KV cache that the checkpoint defines, a name of KV_PRECISIONS; empty if it does not."""


def find_quantisation(folder: Path, config: Mapping[str, object]) -> Quantisation | None:
    """Return the quantisation of the checkpoint in `folder`; None for plain weights.

    Raises:
        EngineError: `hf_quant_config.json` exists and is not a JSON object (`broken-config`).
    """
    file = folder / "hf_quant_config.json"
    if file.is_file():
        return _modelopt(_object(read_json_object(file).get("quantization")))
    described = config.get("quantization_config")
    return _transformers(described) if isinstance(described, dict) and described else None


MODELOPT_PRECISIONS = {
    "FP8": "fp8",
    "fp8": "fp8",
    "W4A16_AWQ": "int4-awq",
    "W4A8_AWQ": "w4a8-awq",
    "W8A8_SQ_PER_CHANNEL": "int8-sq",
    "NVFP4": "nvfp4",
}
"""From names of ModelOpt's `QuantAlgo`, and transformers' blockwise `fp8`, to names of PRECISIONS."""

KV_ALGORITHMS = {"FP8": "fp8", "NVFP4": "nvfp4"}
"""From `kv_cache_quant_algo` to names of KV_PRECISIONS."""


def modelopt_precision(found: Quantisation) -> str:
    """Return the precision (of PRECISIONS) of a ModelOpt export; empty for any other quantisation."""
    return MODELOPT_PRECISIONS.get(found.name, "")


def _modelopt(quantization: Mapping[str, object]) -> Quantisation:
    name = _text(quantization.get("quant_algo")) or "ModelOpt"
    kv = _text(quantization.get("kv_cache_quant_algo"))
    cache = f", with a KV cache in {kv}" if kv else ""
    description = f"Quantised to {name} by NVIDIA ModelOpt{cache}: {_LOADERS['modelopt']}."
    return Quantisation(name, _bits_of_name(name), description, KV_ALGORITHMS.get(kv, ""))


def _transformers(config: Mapping[str, object]) -> Quantisation:
    name = _text(config.get("quant_method")) or _bitsandbytes(config) or "unknown"
    bits = _bits(config)
    loader = _LOADERS.get(name.lower(), "no backend is known to load it")
    width = f" with {bits}-bit weights" if bits else ""
    return Quantisation(name, bits, f"Already quantised by {name}{width}: {loader}.")


def _bitsandbytes(config: Mapping[str, object]) -> str:
    # The oldest bitsandbytes checkpoints have no quant_method.
    return "bitsandbytes" if config.get("load_in_4bit") or config.get("load_in_8bit") else ""


def _bits(config: Mapping[str, object]) -> int | None:
    for key in ("bits", "w_bit", "weight_bits", "nbits", "num_bits"):
        value = config.get(key)
        if type(value) is int and 1 <= value <= 16:
            return value
    if config.get("load_in_4bit"):
        return 4
    if config.get("load_in_8bit"):
        return 8
    groups = _object(config.get("config_groups"))
    inner = next((_bits(_object(_object(group).get("weights"))) for group in groups.values()), None)
    return inner or _bits_of_name(str(config.get("quant_method", "")))


def _bits_of_name(name: str) -> int | None:
    lowered = name.lower()
    if any(mark in lowered for mark in ("fp4", "int4", "w4a")):
        return 4
    return 8 if any(mark in lowered for mark in ("fp8", "int8", "w8a")) else None


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(letter for letter in value[:MAX_NAME] if letter.isprintable())
