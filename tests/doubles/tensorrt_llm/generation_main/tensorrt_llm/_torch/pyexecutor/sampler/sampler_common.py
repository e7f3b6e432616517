"""Settings that are read of every request."""

from __future__ import annotations

from typing import Any


def common_values(sampling_config: Any) -> dict[str, Any]:
    """Return the settings of the distribution, and the seed."""
    return {
        "temperature": sampling_config.temperature,
        "top_p": sampling_config.top_p,
        "top_k": sampling_config.top_k,
        "min_p": sampling_config.min_p,
        "random_seed": sampling_config.random_seed,
    }
