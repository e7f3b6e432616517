"""The arguments of `LLM` in release 1.2. Others are refused."""

from __future__ import annotations

from typing import Any

from tensorrt_llm.llmapi._arguments import (
    BaseFields,
    CalibrationFields,
    KvCacheFields,
    StrictBaseModel,
    TorchFields,
)
from tensorrt_llm.models.modeling_utils import QuantConfig


class CudaGraphConfig(StrictBaseModel):
    """Batch sizes for CUDA graphs."""

    batch_sizes: list[int] | None = None
    max_batch_size: int = 0
    enable_padding: bool = False


class KvCacheConfig(KvCacheFields):
    """The KV pool."""

    max_tokens: int | None = None
    dtype: str = "auto"
    tokens_per_block: int = 32
    onboard_blocks: bool = True


class CalibConfig(CalibrationFields):
    """Calibration data."""

    calib_dataset: str = "cnn_dailymail"
    calib_batches: int = 512


class BaseLlmArgs(BaseFields):
    """The arguments of both LLM classes."""

    model: Any
    tokenizer: Any = None
    trust_remote_code: bool = False
    tensor_parallel_size: int = 1
    dtype: str = "auto"
    kv_cache_config: KvCacheConfig = KvCacheConfig()
    enable_chunked_prefill: bool = False
    max_batch_size: int | None = None
    max_input_len: int | None = None
    max_seq_len: int | None = None
    max_beam_width: int | None = None
    max_num_tokens: int | None = 8192
    fail_fast_on_attention_window_too_large: bool = False


class TorchLlmArgs(BaseLlmArgs, TorchFields):
    """The arguments of the PyTorch-based class."""

    cuda_graph_config: CudaGraphConfig | None = CudaGraphConfig()
    enable_iter_perf_stats: bool = False
    sampler_type: str = "auto"


class BuildConfig(StrictBaseModel):
    """How a TensorRT engine is built."""

    max_input_len: int = 1024
    max_seq_len: int | None = None
    max_batch_size: int = 2048
    max_beam_width: int = 1
    max_num_tokens: int = 8192
    gather_context_logits: bool = False


class TrtLlmArgs(BaseLlmArgs):
    """The arguments of the TensorRT engine class."""

    build_config: BuildConfig | None = None
    quant_config: QuantConfig | None = None
    calib_config: CalibConfig | None = None
    workspace: str | None = None
    enable_tqdm: bool = False
    enable_build_cache: bool = False
    fast_build: bool = False
    batching_type: str | None = None
    normalize_log_probs: bool = False
