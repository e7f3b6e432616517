"""Facts that read_checkpoint returns."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from tests.engines.plan.folders import (
    LLAMA,
    LLAMA_BODY,
    LLAMA_TABLE,
    llama_shapes,
    safetensors,
    write_checkpoint,
)


def test_a_llama_shape_is_read_from_config_and_headers(tmp_path: Path) -> None:
    found = read_checkpoint(write_checkpoint(tmp_path / "small"))
    assert found.name == "small"
    assert (found.architecture, found.model_type, found.dtype) == ("LlamaForCausalLM", "llama", "fp32")
    shape = found.shape
    assert (shape.layers, shape.hidden, shape.heads, shape.kv_heads, shape.head_dim) == (2, 64, 4, 2, 16)
    assert (shape.vocabulary, shape.max_positions) == (100, 512)
    assert found.parameters == LLAMA_BODY + 2 * LLAMA_TABLE
    assert found.weight_bytes == 4 * found.parameters
    assert found.weights.embedding == LLAMA_TABLE
    assert found.quantisation is None
    assert found.has_tokenizer
    assert not found.has_chat_template


def test_kv_bytes_per_token_follow_the_formula(tmp_path: Path) -> None:
    found = read_checkpoint(write_checkpoint(tmp_path))
    assert found.kv_bytes_per_token(2) == 2 * 2 * 2 * 16 * 2
    assert found.kv_bytes(100, 2) == 100 * 256


def test_llama_3_8b_has_128_kib_of_bf16_kv_a_token(tmp_path: Path) -> None:
    config = LLAMA | {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32}
    found = read_checkpoint(write_checkpoint(tmp_path, config | {"num_key_value_heads": 8}))
    assert found.kv_bytes_per_token(2) == 128 * 1024


def test_scales_of_a_quantised_kv_cache_are_counted_for_each_head(tmp_path: Path) -> None:
    config = LLAMA | {"num_hidden_layers": 8, "hidden_size": 256, "num_attention_heads": 8}
    found = read_checkpoint(write_checkpoint(tmp_path, config | {"num_key_value_heads": 8}))
    assert found.kv_bytes_per_token(1, head_overhead=8) == 5120  # as OpenVINO reports for this shape


def test_layers_with_a_sliding_window_stop_growing(tmp_path: Path) -> None:
    kinds = ["sliding_attention", "full_attention"]
    config = LLAMA | {"sliding_window": 64, "layer_types": kinds}
    found = read_checkpoint(write_checkpoint(tmp_path, config))
    assert found.kv_bytes(1000, 2) == 2 * 2 * 16 * 2 * (1000 + 63)


def test_layers_without_attention_hold_no_kv_cache(tmp_path: Path) -> None:
    config = LLAMA | {"layer_types": ["linear_attention", "full_attention"]}
    found = read_checkpoint(write_checkpoint(tmp_path, config))
    assert found.kv_bytes_per_token(2) == 2 * 2 * 16 * 2


def test_a_disabled_sliding_window_does_not_count(tmp_path: Path) -> None:
    config = LLAMA | {"sliding_window": 64, "use_sliding_window": False}
    found = read_checkpoint(write_checkpoint(tmp_path, config))
    assert found.kv_bytes(1000, 2) == 1000 * 256


@pytest.mark.parametrize("stored", [True, False])
def test_a_tied_head_is_counted_once_whether_stored_or_not(tmp_path: Path, stored: bool) -> None:
    config = LLAMA | {"tie_word_embeddings": True}
    found = read_checkpoint(write_checkpoint(tmp_path, config, llama_shapes(tied=not stored)))
    assert found.parameters == LLAMA_BODY + LLAMA_TABLE
    assert found.parameters_read_per_token == LLAMA_BODY + LLAMA_TABLE


def test_the_input_embedding_is_not_read_for_a_token_but_an_untied_head_is(tmp_path: Path) -> None:
    found = read_checkpoint(write_checkpoint(tmp_path))
    assert found.parameters_read_per_token == LLAMA_BODY + LLAMA_TABLE


def test_only_the_active_experts_are_read_for_a_token(tmp_path: Path) -> None:
    shapes = llama_shapes() | {f"model.layers.0.mlp.experts.{n}.up_proj.weight": (64, 64) for n in range(8)}
    config = LLAMA | {"num_local_experts": 8, "num_experts_per_tok": 2}
    found = read_checkpoint(write_checkpoint(tmp_path, config, shapes))
    assert found.parameters_read_per_token == LLAMA_BODY + LLAMA_TABLE + 2 * 64 * 64


def test_gpt2_names_and_buffers(tmp_path: Path) -> None:
    config: dict[str, object] = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_embd": 8,
        "n_layer": 1,
        "n_head": 2,
        "n_positions": 16,
        "vocab_size": 10,
    }
    shapes = {
        "wte.weight": (10, 8),
        "wpe.weight": (16, 8),
        "h.0.attn.bias": (1, 1, 16, 16),
        "ln_f.weight": (8,),
    }
    found = read_checkpoint(write_checkpoint(tmp_path, config, shapes))
    shape = found.shape
    assert (shape.layers, shape.hidden, shape.kv_heads, shape.max_positions) == (1, 8, 2, 16)
    assert found.parameters == 80 + 128 + 8
    assert found.parameters_read_per_token == 80 + 8


def test_the_shards_of_the_index_are_merged(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    (folder / "model.safetensors").unlink()
    shapes = llama_shapes()
    names = list(shapes)
    files = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    for file, part in files.items():
        (folder / file).write_bytes(safetensors({name: shapes[name] for name in part}, "BF16"))
    weight_map = {name: file for file, part in files.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    found = read_checkpoint(folder)
    assert found.parameters == LLAMA_BODY + 2 * LLAMA_TABLE
    assert found.dtype == "bf16"
    (folder / "b.safetensors").unlink()
    with pytest.raises(EngineError, match=r"lacks b\.safetensors"):
        read_checkpoint(folder)


def test_the_card_gives_description_and_licence(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    card = (
        "---\nlicense: mit\ntags:\n- x\n---\n\n# Name\n\n![logo](x.png)\n\nA small model\nfor tests.\n\nMore."
    )
    (folder / "README.md").write_text(card)
    assert read_checkpoint(folder).card.licence == "mit"
    assert read_checkpoint(folder).card.description == "A small model for tests."


@pytest.mark.parametrize("place", ["jinja", "settings"])
def test_a_chat_template_is_found_in_both_places(tmp_path: Path, place: str) -> None:
    folder = write_checkpoint(tmp_path)
    if place == "jinja":
        (folder / "chat_template.jinja").write_text("{{ messages }}")
    else:
        (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    assert read_checkpoint(folder).has_chat_template


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path / "small")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_checkpoint(Path("~/small")).name == "small"


# --- identity -----------------------------------------------------------------------------------------


def snapshot_folder(cache: Path, revision: str = "a" * 40) -> Path:
    return cache / "models--org--small" / "snapshots" / revision


def read_touched(folder: Path) -> Checkpoint:
    os.utime(folder / "model.safetensors", ns=(1, 1))
    return read_checkpoint(folder)


def test_the_identity_of_a_folder_changes_with_config_headers_sizes_and_times(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    first = read_checkpoint(folder).identity
    assert first == read_checkpoint(folder).identity
    assert read_touched(folder).identity != first
    write_checkpoint(tmp_path, dtype="BF16")
    other_types = read_touched(folder).identity
    write_checkpoint(tmp_path, LLAMA | {"rope_theta": 5.0}, dtype="BF16")
    assert read_touched(folder).identity != other_types


def test_the_identity_of_a_hub_snapshot_is_its_revision_not_the_time(tmp_path: Path) -> None:
    folder = write_checkpoint(snapshot_folder(tmp_path))
    found = read_checkpoint(folder)
    assert found.name == "org/small"
    assert found.identity["hub revision"] == "a" * 40
    assert read_touched(folder).identity == found.identity
    other = write_checkpoint(snapshot_folder(tmp_path, "b" * 40))
    assert read_checkpoint(other).identity != found.identity


def test_a_relative_folder_gets_its_absolute_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_checkpoint(snapshot_folder(tmp_path)))
    found = read_checkpoint(Path())
    assert found.folder.is_absolute()
    assert found.name == "org/small"


def test_a_projection_named_output_is_not_the_head(tmp_path: Path) -> None:
    shapes = llama_shapes() | {"model.layers.0.attention.output.weight": (64, 64)}
    found = read_checkpoint(write_checkpoint(tmp_path, LLAMA, shapes))
    assert found.weights.head == LLAMA_TABLE
