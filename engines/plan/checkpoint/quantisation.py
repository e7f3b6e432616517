"""What a checkpoint says of how it was quantised, and who can load it.

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
"""Characters of a foreign name that are shown."""


@dataclass(frozen=True)
class Quantisation:
    """A checkpoint's own quantisation."""

    name: str
    """The method as its makers write it, such as `NVFP4`, `gptq` or `bitsandbytes`."""
    bits: int | None
    """Bits of a quantised weight, scales aside; None where the checkpoint does not say."""
    words: str
    """What it is and what could load it: one sentence for the user."""


def find_quantisation(folder: Path, config: Mapping[str, object]) -> Quantisation | None:
    """The quantisation of the checkpoint in `folder`; None for plain weights.

    Raises:
        EngineError: `hf_quant_config.json` is there and is not a JSON object (`broken-config`).
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
"""Names of `QuantAlgo`, and transformers' `fp8` in blocks, to names of PRECISIONS."""


def modelopt_precision(found: Quantisation) -> str:
    """The precision that TensorRT-LLM loads such a checkpoint as; empty for one that it does not load."""
    return MODELOPT_PRECISIONS.get(found.name, "")


def _modelopt(quantization: Mapping[str, object]) -> Quantisation:
    name = _text(quantization.get("quant_algo")) or "ModelOpt"
    kv = _text(quantization.get("kv_cache_quant_algo"))
    cache = f", with a KV cache in {kv}" if kv else ""
    words = f"Quantised to {name} by NVIDIA ModelOpt{cache}: {_LOADERS['modelopt']}."
    return Quantisation(name, _bits_of_name(name), words)


def _transformers(config: Mapping[str, object]) -> Quantisation:
    name = _text(config.get("quant_method")) or _bitsandbytes(config) or "unknown"
    bits = _bits(config)
    loader = _LOADERS.get(name.lower(), "no backend here is known to load it")
    width = f" with {bits}-bit weights" if bits else ""
    return Quantisation(name, bits, f"Already quantised by {name}{width}: {loader}.")


def _bitsandbytes(config: Mapping[str, object]) -> str:
    # Its oldest checkpoints name no method.
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
