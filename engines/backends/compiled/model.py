"""From a checkpoint to the model that runs: quantised by torchao where the precision asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from engines.backends.compiled.attention import register
from engines.backends.compiled.four_bits import CpuFourBitLinear, CudaFourBitLinear, replace_linear
from engines.backends.pytorch import read_model
from engines.backends.random_weights import is_random, random_model
from engines.build.spec import EngineSpec
from engines.errors import EngineError

PLAIN = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
QUANTISED = ("int8", "fp8", "int4")
"""Weight-only: stored so, computed in bf16."""
WEIGHTS = "weights.safetensors"


def check_precision(spec: EngineSpec) -> None:
    """Refuse what cannot be run.

    Raises:
        EngineError: unknown precision, a GPU's precision on the CPU, or no torchao.
    """
    if spec.precision not in (*PLAIN, *QUANTISED):
        raise EngineError(
            "unsupported-precision",
            f"The compiled engine runs {', '.join((*PLAIN, *QUANTISED))}, not {spec.precision}.",
        )
    if spec.precision in ("fp8", "fp16") and not spec.device.startswith("cuda"):
        raise EngineError(
            "unsupported-precision",
            f"PyTorch has {spec.precision} kernels for NVIDIA GPUs only.",
            "Choose INT8, INT4, BF16 or FP32 on the CPU.",
        )
    if spec.precision in QUANTISED:
        try:
            import torchao  # noqa: F401 - only whether it is there
        except ImportError as error:
            raise EngineError(
                "backend-not-installed",
                "torchao, which quantises the weights, is not installed.",
                "pip install 'trt-playground[compiled]', or choose a plain precision.",
            ) from error


def make_model(spec: EngineSpec, checkpoint: Path) -> Any:
    """Read or make the weights, and quantise them on the device."""
    dtype = PLAIN.get(spec.precision, torch.bfloat16)
    name = register()
    if is_random(checkpoint):
        model = random_model(checkpoint, dtype, spec.device, attn_implementation=name)
    else:
        model = read_model(spec, checkpoint, dtype, attn_implementation=name)
    if spec.precision in QUANTISED:
        _quantise(model, spec)
    return _ready(model.to(spec.device))


def save_weights(model: Any, directory: Path) -> int:
    """Write the quantised weights as safetensors; returns their bytes."""
    from safetensors.torch import save_file
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    tensors, metadata = flatten_tensor_state_dict(model.state_dict())
    tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    save_file(tensors, directory / WEIGHTS, metadata=metadata)
    return (directory / WEIGHTS).stat().st_size


def check_weights(model: Any, directory: Path) -> None:
    """Read back what `save_weights` wrote.

    Raises:
        EngineError: it is not what the model holds.
    """
    from safetensors import safe_open
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    tensors, _ = flatten_tensor_state_dict(model.state_dict())
    with safe_open(directory / WEIGHTS, framework="pt") as file:
        same = set(file.keys()) == set(tensors) and all(
            torch.equal(_as_bytes(file.get_tensor(name)), _as_bytes(tensor.cpu()))
            for name, tensor in tensors.items()
        )
    if not same:
        raise EngineError(
            "broken-engine", "The engine's weights are not what was written.", "Prepare it again."
        )


def _as_bytes(tensor: Any) -> Any:
    """Types of eight bits and less cannot be compared as they are everywhere."""
    return tensor.reshape(-1).view(torch.uint8)


def load_weights(spec: EngineSpec, checkpoint: Path, directory: Path) -> Any:
    """The model with the weights that `save_weights` wrote; the checkpoint's own are not read."""
    from safetensors import safe_open
    from torchao.prototype.safetensors.safetensors_support import unflatten_tensor_state_dict

    config = AutoConfig.from_pretrained(
        checkpoint, local_files_only=True, trust_remote_code=spec.trust_remote_code
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation=register())
    with safe_open(directory / WEIGHTS, framework="pt", device=spec.device) as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    if spec.precision == "int4":
        replace_linear(model, model.get_output_embeddings(), spec.device, fill=False)
    state, _ = unflatten_tensor_state_dict(tensors, metadata)
    model.config.tie_word_embeddings = False  # a quantised head has its own weights
    model.load_state_dict(state, strict=False, assign=True)
    _renew_buffers(model, spec.device)
    left = [name for name, tensor in model.state_dict(keep_vars=True).items() if tensor.is_meta]
    if left:
        raise EngineError(
            "broken-engine", f"The engine lacks {len(left)} tensors, such as {left[0]}.", "Prepare it again."
        )
    return _ready(model)


def weight_bytes(model: Any) -> int:
    """Bytes of all parameters and buffers, a tied one counted once."""
    seen: dict[int, int] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        for part in _parts(tensor):
            seen[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
    return sum(seen.values())


def _parts(tensor: Any) -> list[Any]:
    """The plain tensors of which one of torchao's is made."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return [tensor]
    names, _ = tensor.__tensor_flatten__()
    return [part for name in names for part in _parts(getattr(tensor, name))]


def _quantise(model: Any, spec: EngineSpec) -> None:
    from torchao.quantization import quantize_

    head = model.get_output_embeddings()
    _untie(model, head)
    if spec.precision == "int4":
        replace_linear(model, head, spec.device)
    else:
        body = _body(spec)
        quantize_(model, body, lambda one, _: _is_linear(one) and one is not head, device=spec.device)
    # The head decides between neighbouring tokens: four bits are too few for it, and an fp8 engine keeps it.
    if spec.precision != "fp8":
        quantize_(model, _int8(spec), lambda one, _: one is head, device=spec.device)


def _body(spec: EngineSpec) -> Any:
    """What torchao makes of the decoder's matrices."""
    from torchao.quantization import Float8WeightOnlyConfig

    return _int8(spec) if spec.precision == "int8" else Float8WeightOnlyConfig(set_inductor_config=False)


def _on_gpu(spec: EngineSpec) -> bool:
    return spec.device.startswith("cuda")


def _int8(spec: EngineSpec) -> Any:
    """One scale for each output.

    Int8Tensor's product is one that Inductor hands to a kernel of its own, which is fast on CPUs; on an H200
    it took 1.9 s for 128 tokens. The other class unpacks in the graph.
    """
    from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, PerAxis

    if _on_gpu(spec):
        return IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0))
    return Int8WeightOnlyConfig(set_inductor_config=False)


def _is_linear(module: Any) -> bool:
    return isinstance(module, torch.nn.Linear)


def _untie(model: Any, head: Any) -> None:
    """Give a tied head its own weights: the table of tokens stays as it is."""
    table = model.get_input_embeddings()
    if head.weight is table.weight:
        head.weight = torch.nn.Parameter(table.weight.detach().clone(), requires_grad=False)
    model.config.tie_word_embeddings = False


def _renew_buffers(model: Any, device: str) -> None:
    """Compute what is never saved, such as the frequencies of rotary positions."""
    for module in model.modules():
        if any(buffer.is_meta for buffer in module.buffers(recurse=False)):
            fresh = type(module)(config=model.config)
            for name, buffer in fresh.named_buffers(recurse=False):
                setattr(module, name, buffer.to(device))


def _ready(model: Any) -> Any:
    model.eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, (torch.nn.Linear, CpuFourBitLinear, CudaFourBitLinear)):
            module.register_forward_pre_hook(_written_out)
    return model


def _written_out(_module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Let a single token's input be computed before the product that reads it.

    `as_strided` makes Inductor write its argument out. Otherwise it is computed anew in each block of the
    product: on one H200 the activation of an MLP cost half of the product that follows at eight bits.
    """
    (x,) = arguments
    if x.shape[-2] != 1 or x.device.type != "cuda":
        return None
    return (x.as_strided(x.shape, x.stride()),)
