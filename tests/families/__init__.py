"""Tiny checkpoints of the families that people have, with random weights made by transformers.

`FAMILIES` are their names, such as `llama3.1-8b`, `gemma3` or `lfm2`: each is one structure of config.json
as found on the hub, not one size. `CONFIGS[name]` is that config.json. `WRAPPERS` are the names of those
whose text model is a part, with `text_config` and weights of a vision tower beside it.
`make_checkpoint(name, folder)` writes a checkpoint: config.json, model.safetensors, and the demo's tokenizer
and chat template. The same name makes the same weights each time.
"""

from __future__ import annotations

from tests.families.checkpoints import FAMILIES, WRAPPERS, make_checkpoint
from tests.families.configs import CONFIGS

__all__ = ["CONFIGS", "FAMILIES", "WRAPPERS", "make_checkpoint"]
