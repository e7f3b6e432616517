"""Load a checkpoint as the model to run, quantised by torchao if the precision needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from engines.backends.compiled.attention import register
from engines.backends.compiled.four_bits import CpuFourBitLinear
from engines.backends.compiled.fused import fuse_projections
from engines.backends.compiled.quantise import quantise_model, replace_layers
from engines.backends.compiled.regional import materialised
from engines.backends.compiled.split.rank import WHOLE, Rank
from engines.backends.compiled.split.shards import join_parts, split_model
from engines.backends.random_weights import is_random, random_model
from engines.backends.transformers_model import decoder_config, read_model
from engines.build.spec import EngineSpec
from engines.errors import EngineError

PLAIN = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
QUANTISED = ("int8", "fp8", "int4")
"""Weight-only quantisation: stored at this precision, computed in bf16.

Their q/k/v and gate/up products are fused: on one H100, an 8B shape at int8 decoded 15 % faster. BF16, whose
products are larger, did not gain.
"""


def check_precision(spec: EngineSpec) -> None:
    """Check that the precision can run on the device.

    Raises:
        EngineError: `unsupported-precision`, or `backend-not-installed`: torchao is missing.
    """
    if spec.precision not in (*PLAIN, *QUANTISED):
        raise EngineError(
            "unsupported-precision",
            f"The compiled engine runs {', '.join((*PLAIN, *QUANTISED))}, not {spec.precision}.",
            "Choose one of these.",
        )
    if spec.precision in ("fp8", "fp16") and not spec.device.startswith("cuda"):
        raise EngineError(
            "unsupported-precision",
            f"PyTorch has {spec.precision} kernels for NVIDIA GPUs only.",
            "Choose INT8, INT4, BF16 or FP32 on the CPU.",
        )
    if spec.precision in QUANTISED:
        try:
            import torchao  # noqa: F401 - only to check that it is installed
        except ImportError as error:
            raise EngineError(
                "backend-not-installed",
                "torchao, which quantises the weights, is not installed.",
                "pip install 'trt-playground[compiled]', or choose a plain precision.",
            ) from error


def weights_file(rank: Rank = WHOLE) -> str:
    """Return the name of the file of quantised weights in an engine's folder."""
    return f"weights-{rank.index + 1}-of-{rank.count}.safetensors" if rank.is_split else "weights.safetensors"


def make_model(spec: EngineSpec, checkpoint: Path, rank: Rank = WHOLE) -> Any:
    """Return the model with its weights read, or created at random, and quantised on the device.

    Args:
        rank: whose part of the model.
    """
    dtype = PLAIN.get(spec.precision, torch.bfloat16)
    name = register()
    if is_random(checkpoint):
        model = random_model(checkpoint, dtype, spec.device, attn_implementation=name)
    else:
        model = read_model(spec, checkpoint, dtype, attn_implementation=name)
    if rank.is_split:
        split_model(model, rank)
    if spec.precision in QUANTISED:
        fuse_projections(model)
        quantise_model(model, spec)
    if rank.is_split:
        join_parts(model, spec.device)
    return _for_inference(model.to(spec.device))


def save_weights(model: Any, directory: Path, rank: Rank = WHOLE) -> int:
    """Write the quantised weights as safetensors; return the size of the file in bytes."""
    from safetensors.torch import save_file
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    tensors, metadata = flatten_tensor_state_dict(model.state_dict())
    tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    file = directory / weights_file(rank)
    save_file(tensors, file, metadata=metadata)
    return file.stat().st_size


def check_weights(model: Any, directory: Path, rank: Rank = WHOLE) -> None:
    """Compare the file that `save_weights` wrote with the weights of the model.

    Raises:
        EngineError: `broken-engine`: they differ.
    """
    from safetensors import safe_open
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    tensors, _ = flatten_tensor_state_dict(model.state_dict())
    with safe_open(directory / weights_file(rank), framework="pt") as file:
        same = set(file.keys()) == set(tensors) and all(
            torch.equal(_as_bytes(file.get_tensor(name)), _as_bytes(tensor.cpu()))
            for name, tensor in tensors.items()
        )
    if not same:
        raise EngineError(
            "broken-engine", "The engine's weights are not what was written.", "Prepare it again."
        )


def _as_bytes(tensor: Any) -> Any:
    """View a tensor as bytes: torch.equal does not support 8-bit and smaller types on all devices."""
    return tensor.reshape(-1).view(torch.uint8)


def load_weights(spec: EngineSpec, checkpoint: Path, directory: Path, rank: Rank = WHOLE) -> Any:
    """Return the model with the weights that `save_weights` wrote; those of the checkpoint are not read.

    Raises:
        EngineError: `broken-engine`: tensors are missing.
    """
    from safetensors import safe_open
    from torchao.prototype.safetensors.safetensors_support import unflatten_tensor_state_dict

    config = decoder_config(spec, checkpoint)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation=register())
    with safe_open(directory / weights_file(rank), framework="pt", device=spec.device) as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a dict
    if rank.is_split:
        split_model(model, rank)
    if spec.precision in QUANTISED:
        fuse_projections(model)
        replace_layers(model, spec, fill=False)
    state, _ = unflatten_tensor_state_dict(tensors, metadata)
    model.config.tie_word_embeddings = False  # a quantised head has its own weights
    model.load_state_dict(state, strict=False, assign=True)
    _renew_buffers(model, spec.device)
    missing = [name for name, tensor in model.state_dict(keep_vars=True).items() if tensor.is_meta]
    if missing:
        raise EngineError(
            "broken-engine",
            f"The engine lacks {len(missing)} tensors, such as {missing[0]}.",
            "Prepare it again.",
        )
    if rank.is_split:
        join_parts(model, spec.device)
    return _for_inference(model)


def weight_bytes(model: Any) -> int:
    """Return the bytes of all parameters and buffers; tied tensors are counted once."""
    seen: dict[int, int] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        for plain in _plain_tensors(tensor):
            seen[plain.untyped_storage().data_ptr()] = plain.untyped_storage().nbytes()
    return sum(seen.values())


def _plain_tensors(tensor: Any) -> list[Any]:
    """Return the plain tensors inside a tensor subclass of torchao."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return [tensor]
    names, _ = tensor.__tensor_flatten__()
    return [plain for name in names for plain in _plain_tensors(getattr(tensor, name))]


def _renew_buffers(model: Any, device: str) -> None:
    """Recompute buffers that are not saved, such as the RoPE frequencies."""
    for module in model.modules():
        if any(buffer.is_meta for buffer in module.buffers(recurse=False)):
            fresh = type(module)(config=model.config)
            for name, buffer in fresh.named_buffers(recurse=False):
                setattr(module, name, buffer.to(device))


def _for_inference(model: Any) -> Any:
    model.eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, (torch.nn.Linear, CpuFourBitLinear)):
            module.register_forward_pre_hook(_materialise_input)
    return model


def _materialise_input(_module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    (x,) = arguments
    return (materialised(x),)
