"""The arguments of `LLM`: the portable minimum, and nothing that a generation would refuse.

Both generations answer an unknown argument with `ValueError: LLM got invalid argument`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.build.spec import EngineSpec

BLOCK_TOKENS = 32
"""The library's own default of a block."""
SPARE_BLOCKS = 2
"""Blocks beyond those of the context: the last one is rarely full."""
PREFILL_TOKENS = 8192
"""The library's `max_num_tokens`. Longer prompts are cut into chunks."""
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Others are said by the checkpoint itself."""
ENGINE_PRECISIONS = ("int8-sq",)
"""Those that only a TensorRT engine runs: the PyTorch-based class has no such linear layer."""
QUANT_ALGORITHMS = {
    "fp8": "FP8",
    "int4-awq": "W4A16_AWQ",
    "int8-sq": "W8A8_SQ_PER_CHANNEL",
    "w4a8-awq": "W4A8_AWQ",
    "nvfp4": "NVFP4",
}
"""Names of `QuantAlgo`."""


def wants_engine(spec: EngineSpec) -> bool:
    """Whether a TensorRT engine is built, and not only a checkpoint loaded."""
    return spec.precision in ENGINE_PRECISIONS or spec.options.get("runtime") == "engine"


def pool_tokens(context: int) -> int:
    """Tokens of the KV pool for one conversation. The library's default takes 90 % of the GPU."""
    return (-(-context // BLOCK_TOKENS) + SPARE_BLOCKS) * BLOCK_TOKENS


def shared_arguments(spec: EngineSpec, model: Path, tokenizer: Path, context: int) -> dict[str, Any]:
    """What both classes take."""
    return {
        "model": str(model),
        "tokenizer": str(tokenizer),
        "tensor_parallel_size": spec.gpus,
        "dtype": DTYPES.get(spec.precision, "auto"),
        "trust_remote_code": spec.trust_remote_code,
        "max_batch_size": 1,
        "max_seq_len": context,
        "max_num_tokens": PREFILL_TOKENS,
        "enable_chunked_prefill": True,
    }


def torch_arguments(spec: EngineSpec, context: int, llmapi: Any) -> dict[str, Any]:
    """What the PyTorch-based class takes beside them."""
    kv_dtype = "fp8" if spec.kv_precision == "fp8" else "auto"
    return {
        "kv_cache_config": llmapi.KvCacheConfig(max_tokens=pool_tokens(context), dtype=kv_dtype),
        # The library's own list has some thirty sizes; a chat has one.
        "cuda_graph_config": llmapi.CudaGraphConfig(batch_sizes=[1]),
        "enable_iter_perf_stats": True,
    }


def engine_arguments(context: int, llmapi: Any) -> dict[str, Any]:
    """What the engine class takes beside the shared ones; it refuses a KV type that is not `auto`."""
    return {"kv_cache_config": llmapi.KvCacheConfig(max_tokens=pool_tokens(context))}


def build_arguments(spec: EngineSpec, calibration: Path, workspace: Path, llmapi: Any) -> dict[str, Any]:
    """What is said when an engine is built."""
    found: dict[str, Any] = {"workspace": str(workspace)}
    if algorithm := QUANT_ALGORITHMS.get(spec.precision):
        found["quant_config"] = llmapi.QuantConfig(quant_algo=getattr(llmapi.QuantAlgo, algorithm))
        # A folder, so that nothing is downloaded.
        found["calib_config"] = llmapi.CalibConfig(calib_dataset=str(calibration), calib_batches=128)
    return found
