"""The sampler of release 1.2: it reads three settings and ignores the others without an error."""

from __future__ import annotations

from typing import Any


def sampling_values(sampling_config: Any) -> dict[str, Any]:
    """Return the settings of a request that this release's sampler reads."""
    return {
        "temperature": sampling_config.temperature,
        "top_p": sampling_config.top_p,
        "top_k": sampling_config.top_k,
    }
