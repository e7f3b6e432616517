"""The sampler of the main branch: it reads min-p, repetition penalty and seed of a request as well."""

from __future__ import annotations

from typing import Any

from tensorrt_llm._torch.pyexecutor.sampler.penalties import penalty_values
from tensorrt_llm._torch.pyexecutor.sampler.sampler_common import common_values


def sampling_values(sampling_config: Any) -> dict[str, Any]:
    """Return the settings of a request that this release's sampler reads."""
    return {**common_values(sampling_config), **penalty_values(sampling_config)}
