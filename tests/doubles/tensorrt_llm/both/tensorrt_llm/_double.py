"""The implementation of the double: failures on request, and a real model that generates answers.

PyTorch takes four seconds to import: only what computes does it, not every test that imports the library.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ENGINE = "rank0.engine"
"""The file of an engine folder."""
ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
QUANT_METHODS = ("modelopt", "fp8", "mxfp4", "")


def fails(failure: str) -> bool:
    """Return whether the test requests this failure."""
    return os.environ.get("TENSORRT_LLM_DOUBLE") == failure


def visible_gpus() -> int:
    """Return the number of GPUs that CUDA would see, from CUDA_VISIBLE_DEVICES."""
    return len(os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(","))


def on_import(version: str) -> None:
    """Print the banner, or fail before it."""
    if fails("libmpi"):
        raise ImportError("libmpi.so.40: cannot open shared object file: No such file or directory")
    if fails("hang-at-import"):
        os.write(1, b"Initializing MPI with thread mode 3\n")
        time.sleep(3600)
    print(f"[TensorRT-LLM] TensorRT-LLM version: {version}")
    print(f"without usage statistics: {os.environ.get('TRTLLM_NO_USAGE_STATS')}")


def on_load() -> None:
    """Print as native code does, past Python's streams, and as MPI does when it starts workers."""
    os.write(1, b"rank 0 using MpiPoolSession to spawn MPI processes\n")
    os.write(2, b"[TensorRT-LLM][INFO] MPI size: 1, MPI local size: 1, rank: 0\n")
    print(f"visible GPUs: {os.environ.get('CUDA_VISIBLE_DEVICES')}")
    if fails("hang-at-load"):
        time.sleep(3600)


@contextmanager
def engine_process() -> Iterator[None]:
    """Raise as the library does for an exception in the engine's process, which has been pickled since."""
    try:
        if fails("no-slots"):
            raise RuntimeError("All nodes which are allocated for this job are already filled.")
        if fails("out-of-memory"):
            import torch

            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        yield
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        _log("E", f"Executor worker initialization error: {text}")
        sent = error.with_traceback(None)
        sent.__cause__ = sent.__context__ = None
        raise RuntimeError("Executor worker returned error") from sent
    if fails("insufficient-memory"):
        _log("E", "Executor creation failed due to insufficient GPU memory.")
    if fails("insufficient-memory") or fails("dies-at-load"):
        _log("E", "Executor worker died during initialization.")
        raise RuntimeError("Executor worker died during initialization")


def _log(level: str, text: str) -> None:
    os.write(2, f"[11/21/2026-10:00:00] [TRT-LLM] [{level}] {text}\n".encode())


def on_warm_up(batch_sizes: list[int], graph_line: str) -> None:
    """Log what the PyTorch-based class logs between loading weights and the first request.

    Args:
        graph_line: The release's line before each graph, up to the batch size.
    """
    bar = "Loading weights in parallel: 100%|##########| 2/2 [00:00<00:00,  9.01it/s]\r"
    lines = [
        "[Autotuner] Autotuning process starts ...",
        "Run autotuning warmup for batch size=1",
        "[Autotuner] Autotuning process ends",
        f"Creating CUDA graph instances for {len(batch_sizes)} batch sizes.",
        *(f"{graph_line} for batch size={size}, draft_len=0" for size in batch_sizes),
    ]
    os.write(2, bar.encode())
    for line in lines:
        _log("I", line)


def on_build() -> None:
    """Print the log lines of a build."""
    labels = ("Loading HF model to memory", "Building TRT-LLM engine")
    for index, label in enumerate(labels, 1):
        line = f"\033[38;20mLoading Model: \033[1;32m[{index}/2]\t\033[1;31m{label}\033[0m\n"
        os.write(1, line.encode() + b"\033[38;20mTime: 0.010s\n\033[0m")
    os.write(1, b"\033[1;32mLoading model done.\n\033[0mTotal latency: 0.020s\n")


def on_engine() -> None:
    """Fail as TensorRT does for an engine of another GPU."""
    if fails("other-gpu"):
        raise RuntimeError(
            "[TRT] The engine plan file is generated on an incompatible device, "
            "expecting compute 9.0 got compute 8.0, please rebuild."
        )


def sampling_failure(params: Any) -> str:
    """Return the error of a request that samples where FlashInfer cannot compile; else nothing."""
    is_greedy = params.top_k == 1 or not params.temperature
    if is_greedy or not fails("no-nvcc"):
        return ""
    return "RuntimeError: Could not find nvcc and default cuda_home='/usr/local/cuda' doesn't exist"


def on_token(count: int, result: Any) -> None:
    """End the process as a failing MPI rank does, once all tokens before were delivered."""
    if fails("die-mid-answer") and count == 5:
        while not result.queue.empty():
            time.sleep(0.001)
        print("MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD", file=sys.stderr, flush=True)
        os._exit(134)


def load_config(folder: Path) -> Any:
    """Read the configuration of a checkpoint, whose code is run as the library does, with any argument.

    Raises:
        ValueError: The architecture is not among those that the library has.
        NotImplementedError: The checkpoint is quantised by a method that it does not have.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    architecture = (config.architectures or [""])[0]
    if architecture not in ARCHITECTURES:
        raise ValueError(f"Unknown architecture for AutoModelForCausalLM: {architecture}")
    described = getattr(config, "quantization_config", None)
    if isinstance(described, dict) and described.get("quant_method") not in QUANT_METHODS:
        raise NotImplementedError(f"Unsupported quantization_config: {described}.")
    return config


def check_kv_cache(folder: Path, dtype: str) -> None:
    """Refuse another type of the KV cache than the checkpoint's own."""
    file = folder / "hf_quant_config.json"
    own = json.loads(file.read_text())["quantization"].get("kv_cache_quant_algo") if file.is_file() else None
    if dtype != "auto" and own is not None and own.lower() != dtype:
        raise RuntimeError(
            f'Attempting to override KV cache quantization "{own}" with '
            f'PyTorchConfig.kv_cache_dtype="{dtype}".'
        )


def load_model(folder: Path, config: Any = None) -> Any:
    """Load a plain checkpoint, a ModelOpt export (dequantised), or an engine folder.

    Args:
        config: Of the PyTorch-based class, which takes the type of the weights from it and from nowhere else.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM

    if (folder / ENGINE).is_file():
        described = json.loads((folder / "config.json").read_text())["pretrained_config"]
        kind = described.pop("model_type")
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **described))
        _fill(model, load_file(folder / ENGINE))
    elif (folder / "hf_quant_config.json").is_file():
        config = config or AutoConfig.from_pretrained(folder)
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        model = AutoModelForCausalLM.from_config(config)
        from tensorrt_llm._dequantise import plain_weights

        _fill(model, plain_weights(folder))
    else:
        dtype = getattr(config, "dtype", None) or "auto"
        if dtype == torch.float32:
            raise RuntimeError("FusedAddRMSNorm failed to dispatch data type Float")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    if fails("corrupt-weights"):
        _permute_rows(model)
    return model.float().eval()


def gathers_context_logits(folder: Path, build_config: Any) -> bool:
    """Return whether an engine is, or will be, built with `gather_context_logits`."""
    if (folder / ENGINE).is_file():
        return bool(json.loads((folder / "config.json").read_text())["build_config"]["gather_context_logits"])
    return build_config is not None and bool(build_config.gather_context_logits)


def save_engine(model: Any, folder: Path, version: str, context_logits: bool) -> None:
    """Write `config.json` and the engine file, as `LLM.save` does."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "version": version,
        "pretrained_config": model.config.to_dict(),
        "build_config": {"max_batch_size": 1, "gather_context_logits": context_logits},
    }
    (folder / "config.json").write_text(json.dumps(config))
    weights = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / ENGINE)


def _permute_rows(model: Any) -> None:
    """Permute the rows of all matrices: the output stays a valid distribution, but of another model."""
    for name, weight in model.named_parameters():
        if "layers" in name and weight.dim() == 2:
            weight.data = weight.data.roll(1, 0)


def _fill(model: Any, weights: dict[str, torch.Tensor]) -> None:
    missing, unexpected = model.load_state_dict(weights, strict=False)
    model.tie_weights()
    left = [name for name in missing if name != "lm_head.weight"]
    if left or unexpected:
        raise ValueError(f"not a checkpoint of this model: missing {left}, unexpected {unexpected}")
