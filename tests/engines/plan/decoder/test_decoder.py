"""Descriptions of decoders from config.json, and features that are refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from engines.errors import EngineError
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.config_check import check_config
from engines.plan.decoder.decoder import Decoder, read_decoder
from engines.plan.decoder.decoder_config import parse_config
from engines.plan.decoder.rope import read_rope
from tests.engines.tiny import FAMILIES, LLAMA3_SCALING, make_checkpoint

Edit = Callable[..., Path]
SCALINGS: dict[str, Callable[[int], dict[str, Any]]] = {
    "llama3": lambda _: LLAMA3_SCALING,
    "linear": lambda _: {"rope_type": "linear", "rope_theta": 500000.0, "factor": 4.0},
    "dynamic": lambda _: {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
    "yarn": lambda _: {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 512,
    },
    "longrope": lambda head_dim: {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "original_max_position_embeddings": 512,
        "short_factor": [1 + 0.1 * pair for pair in range(head_dim // 2)],
        "long_factor": [4.0] * (head_dim // 2),
    },
    "proportional": lambda _: {
        "rope_type": "proportional",
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.25,
    },
}
"""Fields of RoPE by type, for a width of a head."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that creates the checkpoint of a family once."""
    folders: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in folders:
            folders[family] = make_checkpoint(tmp_path_factory.mktemp(family), family)
        return folders[family]

    return make


@pytest.fixture
def edited(made: Callable[[str], Path], tmp_path: Path) -> Edit:
    """Return a function that copies a checkpoint and changes fields of config.json; `...` drops a field."""

    def make(family: str = "llama", **changes: Any) -> Path:
        folder = tmp_path / "edited"
        shutil.copytree(made(family), folder)
        config = json.loads((folder / "config.json").read_text()) | changes
        kept = {name: value for name, value in config.items() if value is not ...}
        (folder / "config.json").write_text(json.dumps(kept))
        return folder

    return make


def refusal(folder: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        read_decoder(folder)
    return caught.value


@pytest.mark.parametrize("family", [*FAMILIES, "llama-biased"])
def test_the_description_of_every_family_has_all_tensors(family: str, made: Callable[[str], Path]) -> None:
    decoder = read_decoder(made(family))
    names = {name for linear in decoder.linears for name in (linear.weight, linear.bias) if name}
    norms = [decoder.final_norm]
    for layer in decoder.layers:
        norms += [*layer.norms, *(norm for norm in (layer.query_norm, layer.key_norm) if norm)]
    names |= {name for norm in norms for name in (norm.weight, norm.bias) if name}
    names |= {name for name in (decoder.embedding, decoder.positions) if name}
    assert names == set(tensor_entries(made(family)))


def test_the_families_have_their_differences(made: Callable[[str], Path]) -> None:
    read: dict[str, Decoder] = {family: read_decoder(made(family)) for family in FAMILIES}
    assert {name for name, decoder in read.items() if decoder.tied} == {
        "llama-tied", "qwen2", "qwen3", "smollm", "smollm3", "gpt2",
    }  # fmt: skip
    assert [layer.rope is not None for layer in read["smollm3"].layers] == [True, True, True, False]
    assert read["qwen3"].layers[0].query_norm is not None
    assert [linear.bias is not None for linear in read["qwen2"].layers[0].attention_in] == [True] * 3
    assert read["qwen2"].layers[0].attention_out.bias is None
    assert len(read["phi3"].layers[0].attention_in) == len(read["phi3"].layers[0].mlp_in) == 1
    gpt2 = read["gpt2"]
    assert (gpt2.norm, gpt2.activation, gpt2.gated) == ("layer", "gelu_tanh", False)
    assert gpt2.layers[0].rope is None
    assert gpt2.layers[0].attention_in[0].transposed
    assert read["mistral"].head_dim == 64


@pytest.mark.parametrize("head_dim", [32, 128])
@pytest.mark.parametrize("kind", SCALINGS)
def test_rope_agrees_with_transformers(kind: str, head_dim: int, edited: Edit) -> None:
    fields = SCALINGS[kind](head_dim)
    config = AutoConfig.for_model("llama", head_dim=head_dim, rope_parameters=dict(fields))
    expected, factor = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"))
    rope = read_rope(parse_config({"model_type": "llama", "rope_parameters": fields}), head_dim)
    assert torch.tensor(rope.frequencies) == pytest.approx(expected, rel=1e-5)
    assert rope.factor == pytest.approx(factor)


def test_old_and_new_rope_fields_are_read(edited: Edit) -> None:
    old = {name: value for name, value in LLAMA3_SCALING.items() if name not in ("rope_theta", "rope_type")}
    folder = edited(rope_parameters=..., dtype=..., torch_dtype="float32", rope_theta=500000.0,
                    rope_scaling=old | {"type": "llama3"})  # fmt: skip
    new = {"model_type": "llama", "rope_parameters": LLAMA3_SCALING | {"rope_theta": 500000.0}}
    assert read_decoder(folder).layers[0].rope == read_rope(parse_config(new), 32)


def test_missing_fields_have_the_defaults_of_transformers(edited: Edit) -> None:
    folder = edited(rope_parameters=..., rms_norm_eps=..., head_dim=..., num_key_value_heads=2,
                    max_position_embeddings=..., tie_word_embeddings=..., hidden_act=...)  # fmt: skip
    decoder = read_decoder(folder)
    assert decoder.layers[0].rope == read_rope(parse_config({"model_type": "llama"}), 32)
    assert (decoder.norm_epsilon, decoder.head_dim, decoder.max_positions) == (1e-6, 32, 2048)
    assert (decoder.tied, decoder.activation) == (False, "silu")


UNSUPPORTED: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"model_type": "mamba"}, "mamba"),
    ("llama", {"model_type": "mixtral"}, "mixtral"),
    ("llama", {"model_type": "qwen3_moe"}, "qwen3_moe"),
    ("qwen3", {"num_experts": 8}, "num_experts"),
    ("qwen2", {"layer_types": ["full_attention", "linear_attention"]}, "linear_attention"),
    ("llama", {"layer_types": ["full_attention", "sliding_attention"]}, "sliding_attention"),
    ("qwen2", {"layer_types": ["full_attention", "sliding_attention"]}, "sliding_attention"),
    ("llama", {"rope_parameters": {"rope_type": "spiral", "factor": 4.0}}, "spiral"),
    ("llama", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
    ("llama", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
    ("llama", {"logits_scaling": 8.0}, "logits_scaling"),
    ("llama", {"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
    ("llama", {"hidden_act": "xielu"}, "xielu"),
    ("llama", {"quantization_config": {"quant_method": "awq"}}, "awq"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
    ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights"),
    ("llama-biased", {"attention_bias": False}, "self_attn"),
    ("qwen3", {"model_type": "llama"}, "_norm"),
]


@pytest.mark.parametrize(("family", "change", "named"), UNSUPPORTED, ids=str)
def test_unsupported_features_are_refused_by_name(
    family: str, change: dict[str, Any], named: str, edited: Edit
) -> None:
    error = refusal(edited(family, **change))
    assert error.code == "unsupported-architecture"
    assert named in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("mistral", {"sliding_window": 2048}),
        ("qwen2", {"use_sliding_window": False, "sliding_window": 512}),
        ("phi3", {"sliding_window": None}),
        ("llama", {"num_experts": None, "logits_scaling": 1.0}),
        ("llama", {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 1.0}}),
    ],
    ids=str,
)
def test_fields_without_effect_are_accepted(family: str, change: dict[str, Any], edited: Edit) -> None:
    assert read_decoder(edited(family, **change)).layers


def test_layer_types_are_read_where_transformers_reads_them(edited: Edit) -> None:
    """Mistral's class gives every layer the window, whatever is listed."""
    kinds = {"layer_types": ["full_attention", "full_attention"], "sliding_window": 64}
    assert [layer.window for layer in read_decoder(edited("mistral", **kinds)).layers] == [64, 64]


@pytest.mark.parametrize("value", [10**9, 10_001, 0, "4", None])
def test_a_number_of_layers_without_tensors_is_bounded(value: object) -> None:
    with pytest.raises(EngineError, match="num_hidden_layers") as caught:
        check_config({"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4,
                      "num_hidden_layers": value})  # fmt: skip
    assert caught.value.code == "broken-config"


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": "128"},
        {"hidden_size": ...},
        {"hidden_size": True},
        {"hidden_size": -128},
        {"hidden_size": 10**30},
        {"hidden_size": 127},
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 0},
        {"num_key_value_heads": 3},
        {"head_dim": 31},
        {"vocab_size": 385},
        {"intermediate_size": 512},
        {"rms_norm_eps": 0},
        {"rms_norm_eps": float("nan")},
        {"rms_norm_eps": "small"},
        {"rope_parameters": [1]},
        {"rope_parameters": {"rope_theta": float("inf")}},
        {"rope_parameters": {"rope_type": "llama3"}},
        {"rope_parameters": LLAMA3_SCALING | {"low_freq_factor": 4.0}},
        {"rope_parameters": {"rope_type": "longrope"}},
        {"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0] * 15 + ["x"]}},
        {"rope_parameters": {"rope_type": "yarn", "factor": 0}},
        {"rope_parameters": {"rope_type": "linear"}},
        {"rope_parameters": {"partial_rotary_factor": 0.01}},
        {"layer_types": ["sliding_attention"]},
        {"layer_types": "full_attention"},
        {"tie_word_embeddings": "yes"},
        {"model_type": None},
        {"model_type": ["llama"]},
    ],
    ids=str,
)
def test_an_invalid_config_is_refused(change: dict[str, Any], edited: Edit) -> None:
    assert refusal(edited(**change)).code == "broken-config"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"[" * 100_000, b"\xff\xfe", b"null"], ids=lambda c: repr(c[:8])
)
def test_a_config_that_is_not_a_json_object_is_refused(content: bytes, edited: Edit) -> None:
    folder = edited()
    (folder / "config.json").write_bytes(content)
    assert refusal(folder).code == "broken-config"
    (folder / "config.json").unlink()
    assert refusal(folder).code == "broken-config"


def test_a_layer_with_a_missing_tensor_is_refused(edited: Edit) -> None:
    error = refusal(edited(num_hidden_layers=3))
    assert error.code == "broken-weights"
    assert "layers.2" in error.message


def test_layers_beyond_the_config_are_refused(edited: Edit) -> None:
    assert "layers.1" in refusal(edited(num_hidden_layers=1)).message
