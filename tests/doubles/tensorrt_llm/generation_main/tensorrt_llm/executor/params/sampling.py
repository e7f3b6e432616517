"""SamplingParams, where the main branch has it."""

from __future__ import annotations

from dataclasses import dataclass

from tensorrt_llm.executor._sampling_fields import SamplingFields


@dataclass(kw_only=True)
class SamplingParams(SamplingFields):
    """Sampling parameters of one request."""
