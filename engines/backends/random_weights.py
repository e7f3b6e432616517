"""Create models with random weights on the device from a seed, so that nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engines.plan.random_shape import MARKER


def is_random(checkpoint: Path) -> bool:
    """Return whether the folder holds only a model shape, to be run with random weights."""
    return (checkpoint / MARKER).is_file()


def random_model(checkpoint: Path, dtype: Any, device: Any, **options: Any) -> Any:
    """Return the model of `checkpoint`, initialised by transformers from the seed in the folder.

    Args:
        options: For `from_config`, such as `attn_implementation`.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    seed = int(json.loads((checkpoint / MARKER).read_text("utf-8"))["seed"])
    config = AutoConfig.from_pretrained(checkpoint, local_files_only=True)
    torch.manual_seed(seed)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, **options)
