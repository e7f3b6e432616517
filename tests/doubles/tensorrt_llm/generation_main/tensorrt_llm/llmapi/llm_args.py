"""The arguments of `LLM` in main: what is not declared here is refused."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from tensorrt_llm.quantization.mode import QuantAlgo


class StrictBaseModel(BaseModel):
    """Every nested config refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")


class BaseCudaGraphConfig(StrictBaseModel):
    """Which batch sizes are captured."""

    batch_sizes: list[int] | None = None
    max_batch_size: int = 0
    enable_padding: bool = False


class DecodeCudaGraphConfig(BaseCudaGraphConfig):
    """Graphs of decoding."""

    mode: Literal["decode"] = "decode"


CudaGraphConfig = DecodeCudaGraphConfig


class KvCacheConfig(StrictBaseModel):
    """The pool of keys and values."""

    enable_block_reuse: bool = True
    max_tokens: int | None = None
    max_attention_window: list[int] | None = None
    sink_token_length: int | None = None
    free_gpu_memory_fraction: float | None = 0.9
    host_cache_size: int | None = None
    cross_kv_cache_fraction: float | None = None
    secondary_offload_min_priority: int | None = None
    event_buffer_max_size: int = 0
    attention_dp_events_gather_period_ms: int = 5
    enable_partial_reuse: bool = True
    copy_on_partial_reuse: bool = True
    use_uvm: bool = False
    max_gpu_total_bytes: int = 0
    dtype: str = "auto"
    mamba_ssm_cache_dtype: str = "auto"
    tokens_per_block: int = 32
    iteration_stats_interval: int = 1
    use_kv_cache_manager_v2: Any = "auto"


class QuantConfig(StrictBaseModel):
    """How to quantise."""

    quant_algo: QuantAlgo | None = None
    kv_cache_quant_algo: QuantAlgo | None = None
    group_size: int = 128
    smoothquant_val: float = 0.5
    clamp_val: list[float] | None = None
    use_meta_recipe: bool = False
    has_zero_point: bool = False
    pre_quant_scale: bool = False
    exclude_modules: list[str] | None = None


class CalibConfig(StrictBaseModel):
    """What to calibrate with."""

    device: Literal["cuda", "cpu"] = "cuda"
    calib_dataset: str = "cnn_dailymail"
    calib_batches: int = 512
    calib_batch_size: int = 1
    calib_max_seq_length: int = 512
    random_seed: int = 1234
    tokenizer_max_seq_length: int = 2048


class BaseLlmArgs(StrictBaseModel):
    """What every LLM takes."""

    model: Any
    tokenizer: Any = None
    tokenizer_mode: Literal["auto", "slow"] = "auto"
    skip_tokenizer_init: bool = False
    trust_remote_code: bool = False
    tensor_parallel_size: int = 1
    dtype: str = "auto"
    revision: str | None = None
    tokenizer_revision: str | None = None
    pipeline_parallel_size: int = 1
    kv_cache_config: KvCacheConfig = KvCacheConfig()
    enable_chunked_prefill: bool = False
    max_batch_size: int | None = 2048
    max_input_len: int | None = 1024
    max_seq_len: int | None = None
    max_beam_width: int | None = 1
    max_num_tokens: int | None = 8192
    gather_generation_logits: bool = False
    iter_stats_max_iterations: int | None = None
    request_stats_max_iterations: int | None = None
    return_perf_metrics: bool = False
    orchestrator_type: str | None = None
    telemetry_config: Any = None
    env_overrides: dict[str, str] | None = None


class TorchLlmArgs(BaseLlmArgs):
    """The arguments of the PyTorch-based class."""

    cuda_graph_config: CudaGraphConfig | None = CudaGraphConfig()
    enable_iter_perf_stats: bool = False
    enable_iter_req_stats: bool = False
    print_iter_log: bool = False
    disable_overlap_scheduler: bool = False
    attn_backend: str = "TRTLLM"
    enable_autotuner: bool = True
    stream_interval: int = 1
    max_stats_len: int = 1000
