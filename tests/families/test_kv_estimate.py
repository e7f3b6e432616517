"""The plan's estimate of the KV cache is what transformers allocates, for every family."""

from __future__ import annotations

from operator import mul
from pathlib import Path

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM

from engines.backends.transformers_cache import cache_usage
from engines.plan.checkpoint.layer_kinds import _EVERY, _KINDS, _LINEAR, _WINDOWS, layer_kinds
from engines.plan.checkpoint.shape import _HEAD_DIMS, read_shape
from engines.plan.checkpoint.text_part import text_config
from engines.plan.checkpoint.transformers_models import SAME_TEXT_MODEL
from tests.families import CONFIGS, FAMILIES

_NOTHING_SHARED = {"num_kv_shared_layers": 0}
TOKENS = 63
"""Past the windows of 32."""


@pytest.mark.parametrize("name", FAMILIES)
def test_estimate_is_what_transformers_allocates(name: str) -> None:
    """The weights do not matter, so the model is made from the config alone."""
    config = AutoConfig.for_model(**CONFIGS[name]).get_text_config(decoder=True)
    if config.model_type in SAME_TEXT_MODEL:
        pytest.skip("it has no class of its own; the family that it is loaded as is tested")
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    prompt = torch.arange(20, 19 + TOKENS)[None]
    made = model.generate(
        prompt, max_new_tokens=2, return_dict_in_generate=True, use_cache=True, eos_token_id=None
    )
    shape = read_shape(CONFIGS[name], Path("config.json"))
    assert shape.layers == config.num_hidden_layers
    one_token = [layer.heads * (layer.key_dim + layer.value_dim) for layer in shape.kv_layers]
    tokens = [layer.tokens(TOKENS) for layer in shape.kv_layers]
    assert 4 * sum(map(mul, one_token, tokens)) == cache_usage(made.past_key_values).kv_bytes
    assert text_config(CONFIGS[name])["vocab_size"] == config.vocab_size


@pytest.mark.parametrize("model_type", _HEAD_DIMS)
def test_head_sizes_are_those_of_transformers(model_type: str) -> None:
    assert CONFIG_MAPPING[model_type].head_dim == _HEAD_DIMS[model_type]


@pytest.mark.parametrize("model_type", _WINDOWS)
def test_windows_are_those_of_transformers(model_type: str) -> None:
    config = AutoConfig.for_model(model_type, use_sliding_window=True)
    assert config.sliding_window == _WINDOWS[model_type]


@pytest.mark.parametrize("model_type", [*_EVERY, *_LINEAR, "llama4_text", "jamba", "minimax"])
def test_rules_are_those_of_transformers(model_type: str) -> None:
    """The kind of each layer of a config that says nothing about its layers."""
    layers = 12
    config = AutoConfig.for_model(model_type, num_hidden_layers=layers, **_NOTHING_SHARED)
    kinds = layer_kinds({"model_type": model_type, **_NOTHING_SHARED}, layers)
    assert kinds == [_KINDS.get(kind, "none") for kind in config.layer_types]


def test_a_window_that_is_switched_on_is_where_transformers_has_it() -> None:
    """SmolLM3 has it in the layers without RoPE, Qwen2 in the last ones."""
    for model_type, more in (("smollm3", {}), ("qwen2", {"max_window_layers": 7})):
        fields = {"use_sliding_window": True, "sliding_window": 64, "num_hidden_layers": 12, **more}
        config = AutoConfig.for_model(model_type, **fields)
        found = layer_kinds({"model_type": model_type, **fields}, 12)
        assert found == [_KINDS[kind] for kind in config.layer_types]


def test_listed_layer_types_are_those_that_transformers_reads() -> None:
    """Mistral's class gives every layer the window, whatever is listed."""
    fields = {"sliding_window": 64, "layer_types": ["full_attention"] * 2}
    assert layer_kinds({"model_type": "mistral", **fields}, 2) == ["sliding"] * 2
    assert layer_kinds({"model_type": "ministral", **fields}, 2) == ["full"] * 2
