"""The arguments of `LLM` in the main branch. Others are refused."""

from __future__ import annotations

from typing import Any, Literal

from tensorrt_llm.llmapi._arguments import (
    BaseFields,
    CalibrationFields,
    KvCacheFields,
    StrictBaseModel,
    TorchFields,
)


class BaseCudaGraphConfig(StrictBaseModel):
    """Batch sizes for CUDA graphs."""

    batch_sizes: list[int] | None = None
    max_batch_size: int = 0
    enable_padding: bool = False


class DecodeCudaGraphConfig(BaseCudaGraphConfig):
    """CUDA graphs for decode."""

    mode: Literal["decode"] = "decode"


CudaGraphConfig = DecodeCudaGraphConfig


class KvCacheConfig(KvCacheFields):
    """The KV pool."""

    max_tokens: int | None = None
    dtype: str = "auto"
    tokens_per_block: int = 32
    iteration_stats_interval: int = 1
    use_kv_cache_manager_v2: Any = "auto"


class CalibConfig(CalibrationFields):
    """Calibration data."""

    calib_dataset: str = "cnn_dailymail"
    calib_batches: int = 512


class BaseLlmArgs(BaseFields):
    """The arguments of all LLM classes."""

    model: Any
    tokenizer: Any = None
    trust_remote_code: bool = False
    tensor_parallel_size: int = 1
    dtype: str = "auto"
    kv_cache_config: KvCacheConfig = KvCacheConfig()
    enable_chunked_prefill: bool = False
    max_batch_size: int | None = 2048
    max_input_len: int | None = 1024
    max_seq_len: int | None = None
    max_beam_width: int | None = 1
    max_num_tokens: int | None = 8192
    telemetry_config: Any = None
    env_overrides: dict[str, str] | None = None


class TorchLlmArgs(BaseLlmArgs, TorchFields):
    """The arguments of the PyTorch-based class."""

    cuda_graph_config: CudaGraphConfig | None = CudaGraphConfig()
    enable_iter_perf_stats: bool = False
    max_stats_len: int = 1000
