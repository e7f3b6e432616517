"""Arguments of both releases that the backend does not use; those that it uses are in `llm_args.py`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class StrictBaseModel(BaseModel):
    """Nested configurations refuse unknown fields."""

    model_config = ConfigDict(extra="forbid")


class KvCacheFields(StrictBaseModel):
    """Fields of the KV pool."""

    enable_block_reuse: bool = True
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
    mamba_ssm_cache_dtype: str = "auto"


class CalibrationFields(StrictBaseModel):
    """Fields of a calibration."""

    device: Literal["cuda", "cpu"] = "cuda"
    calib_batch_size: int = 1
    calib_max_seq_length: int = 512
    random_seed: int = 1234
    tokenizer_max_seq_length: int = 2048


class BaseFields(StrictBaseModel):
    """Fields of both LLM classes."""

    tokenizer_mode: Literal["auto", "slow"] = "auto"
    skip_tokenizer_init: bool = False
    revision: str | None = None
    tokenizer_revision: str | None = None
    pipeline_parallel_size: int = 1
    gather_generation_logits: bool = False
    iter_stats_max_iterations: int | None = None
    request_stats_max_iterations: int | None = None
    return_perf_metrics: bool = False
    orchestrator_type: str | None = None


class TorchFields(StrictBaseModel):
    """Fields of the PyTorch-based class."""

    enable_iter_req_stats: bool = False
    print_iter_log: bool = False
    disable_overlap_scheduler: bool = False
    attn_backend: str = "TRTLLM"
    enable_autotuner: bool = True
    stream_interval: int = 1
