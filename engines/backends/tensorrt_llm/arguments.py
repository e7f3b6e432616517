"""Arguments of `LLM`: only those that all supported releases accept.

They raise `ValueError: LLM got invalid argument` for an unknown one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.build.spec import EngineSpec

BLOCK_TOKENS = 32
"""Tokens per KV block: the library's default."""
SPARE_BLOCKS = 2
"""Blocks in addition to those of the context window: the last block is rarely full."""
PREFILL_TOKENS = 8192
"""`max_num_tokens` of the library. Longer prompts are split into chunks."""
DTYPES = {"bf16": "bfloat16", "fp16": "float16"}
"""`dtype` by precision. For other precisions the checkpoint defines it."""
LEAST_FRACTION, LARGEST_FRACTION = 0.01, 0.9
"""Of the free memory for the KV pool; the second is the library's default."""
POOL_SLACK = 1.25
"""The pool of a fraction over the bytes that the blocks need."""
ENGINE_PRECISIONS = ("int8-sq",)
"""Precisions that need a TensorRT engine: the PyTorch-based class has no linear layer for them."""
QUANT_ALGORITHMS = {
    "fp8": "FP8",
    "int4-awq": "W4A16_AWQ",
    "int8-sq": "W8A8_SQ_PER_CHANNEL",
    "w4a8-awq": "W4A8_AWQ",
    "nvfp4": "NVFP4",
}
"""Precision to the name of its `QuantAlgo`."""


def wants_engine(spec: EngineSpec) -> bool:
    """Return whether a TensorRT engine is built; otherwise a checkpoint is loaded."""
    return spec.precision in ENGINE_PRECISIONS or spec.options.get("runtime") == "engine"


def pool_tokens(context: int, requests: int = 1) -> int:
    """Return the tokens of a KV pool for full contexts of the requests. The default is 90 % of the GPU."""
    return (-(-context // BLOCK_TOKENS) + SPARE_BLOCKS) * BLOCK_TOKENS * requests


def graph_batches(requests: int) -> list[int]:
    """Return the batch sizes for which CUDA graphs are captured: powers of two, and the largest one.

    Other sizes are padded to the next one.
    """
    powers = [1 << power for power in range(requests.bit_length()) if 1 << power < requests]
    return [*powers, requests]


def shared_arguments(spec: EngineSpec, folder: Path, context: int, requests: int = 1) -> dict[str, Any]:
    """Return the arguments that both classes take.

    Args:
        folder: A checkpoint with its tokenizer.
        requests: Most requests in the batch.
    """
    return {
        "model": str(folder),
        "tokenizer": str(folder),
        "tensor_parallel_size": spec.gpus,
        # Only the TensorRT engine class reads it; the other one reads the configuration: `checkpoint_view`.
        "dtype": DTYPES.get(spec.precision, "auto"),
        "trust_remote_code": spec.trust_remote_code,
        "max_batch_size": requests,
        "max_seq_len": context,
        "max_num_tokens": PREFILL_TOKENS,
        "enable_chunked_prefill": True,
    }


def torch_arguments(
    spec: EngineSpec,
    context: int,
    llmapi: Any,
    fraction: float | None = None,
    requests: int = 1,
    kv_tokens: int | None = None,
) -> dict[str, Any]:
    """Return the additional arguments of the PyTorch-based class.

    Args:
        llmapi: The library's module of that name, or an object with its names of configurations.
        fraction: See `pool_fraction`; None to bound the pool by its tokens only.
        requests: Most requests in the batch.
        kv_tokens: Tokens of the KV pool; None for a full context of each request.
    """
    kv_dtype = "fp8" if spec.kv_precision == "fp8" else "auto"
    pool: dict[str, Any] = {"max_tokens": kv_tokens or pool_tokens(context, requests), "dtype": kv_dtype}
    if fraction is not None:
        pool["free_gpu_memory_fraction"] = fraction
    padding = {"enable_padding": True} if requests > 1 else {}
    return {
        "kv_cache_config": llmapi.KvCacheConfig(**pool),
        # The library would capture about thirty batch sizes; a chat needs only one.
        "cuda_graph_config": llmapi.CudaGraphConfig(batch_sizes=graph_batches(requests), **padding),
        "enable_iter_perf_stats": True,
    }


def pool_fraction(kv_bytes: int, weight_bytes: int, available: int | None) -> float | None:
    """Return `free_gpu_memory_fraction` for a pool of a full context, of the memory that the weights leave.

    Where the layers have different windows the library ignores `max_tokens` and fills the fraction; where
    both apply, the smaller pool is allocated. None if the free memory is unknown.

    Args:
        kv_bytes: Bytes of the KV cache of a full context, in every layer without its window.
        available: Bytes free on the device now.
    """
    free = (available or 0) - weight_bytes
    if free <= 0:
        return None
    return min(max(POOL_SLACK * kv_bytes / free, LEAST_FRACTION), LARGEST_FRACTION)


def engine_arguments(context: int, llmapi: Any) -> dict[str, Any]:
    """Return the additional arguments of the TensorRT engine class; its KV dtype must be `auto`."""
    return {"kv_cache_config": llmapi.KvCacheConfig(max_tokens=pool_tokens(context))}


def build_arguments(spec: EngineSpec, calibration: Path, workspace: Path, llmapi: Any) -> dict[str, Any]:
    """Return the additional arguments for building a TensorRT engine.

    Args:
        calibration: Folder of the calibration data set.
        workspace: Folder for temporary files.
    """
    arguments: dict[str, Any] = {"workspace": str(workspace)}
    if algorithm := QUANT_ALGORITHMS.get(spec.precision):
        arguments["quant_config"] = llmapi.QuantConfig(quant_algo=getattr(llmapi.QuantAlgo, algorithm))
        # A local folder, so that nothing is downloaded.
        arguments["calib_config"] = llmapi.CalibConfig(calib_dataset=str(calibration), calib_batches=128)
    return arguments
