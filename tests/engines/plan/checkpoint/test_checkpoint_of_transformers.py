"""Checkpoints saved by transformers: parameter counts and KV bytes agree with transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from engines.plan.checkpoint.checkpoint import read_checkpoint
from tests.engines.tiny import FAMILIES, make_checkpoint


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_and_cache_agree_with_transformers(tmp_path: Path, family: str) -> None:
    found = read_checkpoint(make_checkpoint(tmp_path, family))
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert found.parameters == model.num_parameters()
    assert found.weights.embedding >= model.get_input_embeddings().weight.numel()
    assert found.architecture == type(model).__name__
    cache = model(torch.zeros(1, 5, dtype=torch.long), use_cache=True).past_key_values
    stored = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert found.kv_bytes(5, 4) == stored
    assert found.has_chat_template


def test_all_shards_of_a_bf16_checkpoint_are_read(tmp_path: Path) -> None:
    found = read_checkpoint(make_checkpoint(tmp_path, dtype=torch.bfloat16, max_shard_size="200KB"))
    assert len([*tmp_path.glob("*.safetensors")]) > 1
    assert found.dtype == "bf16"
    assert found.weight_bytes == 2 * found.parameters
