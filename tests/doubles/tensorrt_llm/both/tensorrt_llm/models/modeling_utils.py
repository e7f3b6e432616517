"""Configuration of quantisation."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tensorrt_llm.quantization.mode import QuantAlgo


class QuantConfig(BaseModel):
    """How to quantise the weights of a model."""

    model_config = ConfigDict(extra="forbid")

    quant_algo: QuantAlgo | None = None
    kv_cache_quant_algo: QuantAlgo | None = None
    group_size: int = 128
    smoothquant_val: float = 0.5
    clamp_val: list[float] | None = None
    use_meta_recipe: bool = False
    has_zero_point: bool = False
    pre_quant_scale: bool = False
    exclude_modules: list[str] | None = None
