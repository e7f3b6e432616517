"""Make a checkpoint with random weights of a config in `CONFIGS`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from tests.families.configs import CONFIGS

FAMILIES = tuple(CONFIGS)
WRAPPERS = tuple(name for name, config in CONFIGS.items() if "text_config" in config)
DEMO = Path(__file__).parents[2] / "engines" / "demo" / "checkpoint"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def make_checkpoint(
    name: str, folder: Path, *, dtype: torch.dtype = torch.float32, max_shard_size: str = "5GB"
) -> Path:
    """Save a checkpoint of a family with the demo's tokenizer, and return `folder`.

    The config.json is the one in CONFIGS, not what transformers makes of it, which has more fields.

    Args:
        name: one of FAMILIES.
        folder: created if it does not exist.
        dtype: type of the saved weights.
        max_shard_size: as in `save_pretrained`; a small value gives a sharded checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIGS[name] | {"dtype": str(dtype).removeprefix("torch.")}
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    _random_model(name, folder).to(dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    for file in TOKENIZER:
        shutil.copyfile(DEMO / file, folder / file)
    return folder


def _random_model(name: str, folder: Path) -> Any:
    """Return the family's model, with weights that are wide enough for different tokens to win.

    Matrices are drawn anew, the embedding narrower: it is scaled up in some families, and a head tied to it
    would then repeat the last token. Norms, biases and the parameters of recurrences get some noise, or a
    model that forgets one of them would give the same answers.
    """
    kind = AutoModelForImageTextToText if name in WRAPPERS else AutoModelForCausalLM
    torch.manual_seed(crc32(name.encode()))
    model = kind.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
    embedding = model.get_input_embeddings().weight
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(0.0, 0.02 if parameter is embedding else 0.15)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()
