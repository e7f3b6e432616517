"""Create models with random weights on the device from a seed, so that nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.plan.random_shape import random_seed


def is_random(checkpoint: Path) -> bool:
    """Return whether the folder holds only a model shape, to be run with random weights."""
    return random_seed(checkpoint) is not None


def random_model(checkpoint: Path, dtype: Any, device: Any, **options: Any) -> Any:
    """Return the model of `checkpoint`, initialised by transformers from the seed in the folder.

    Args:
        options: For `from_config`, such as `attn_implementation`.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    seed = random_seed(checkpoint)
    assert seed is not None
    config = AutoConfig.from_pretrained(checkpoint, local_files_only=True)
    torch.manual_seed(seed)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, **options)
