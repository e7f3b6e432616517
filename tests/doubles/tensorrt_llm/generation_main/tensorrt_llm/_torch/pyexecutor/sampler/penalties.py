"""Penalties of tokens that occurred before."""

from __future__ import annotations

from typing import Any


def penalty_values(sampling_config: Any) -> dict[str, Any]:
    """Return the settings of the penalties."""
    return {"repetition_penalty": sampling_config.repetition_penalty}
