"""Folders that cannot be run are refused with an error that has a reason and a hint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from tests.engines.plan.folders import LLAMA, write_checkpoint


def refused(folder: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        read_checkpoint(folder)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path / "nowhere")
    assert error.code == "no-checkpoint"
    assert "does not exist" in error.message


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert (error.code, "is empty" in error.message) == ("no-checkpoint", True)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("adapter_config.json", "adapter"),
        ("notes.txt", "no config.json"),
    ],
)
def test_a_folder_of_another_kind_is_described(tmp_path: Path, file: str, words: str) -> None:
    (tmp_path / file).write_text("{}")
    error = refused(tmp_path)
    assert error.code == "no-checkpoint"
    assert words in error.message


def test_a_file_is_not_a_model_folder(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_text("")
    assert "is a file" in refused(tmp_path / "model.bin").message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "\x00", "[" * 100_000])
def test_a_config_that_is_not_a_json_object_is_damaged(tmp_path: Path, text: str) -> None:
    folder = write_checkpoint(tmp_path)
    (folder / "config.json").write_text(text)
    assert refused(folder).code == "broken-config"


@pytest.mark.parametrize(
    "changed",
    [
        {"num_hidden_layers": None},
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": True},
        {"hidden_size": "64"},
        {"hidden_size": 1e300},
        {"vocab_size": -1},
        {"num_attention_heads": 0},
        {"num_key_value_heads": [2]},
        {"architectures": []},
        {"architectures": "LlamaForCausalLM"},
        {"architectures": ["Llama\x1b[31mForCausalLM"]},
    ],
)
def test_numbers_out_of_range_are_damage(tmp_path: Path, changed: dict[str, object]) -> None:
    assert refused(write_checkpoint(tmp_path, LLAMA | changed)).code == "broken-config"


@pytest.mark.parametrize("name", ["BertForMaskedLM", "T5ForConditionalGeneration", "LlamaModel"])
def test_other_architectures_are_refused_by_name(tmp_path: Path, name: str) -> None:
    error = refused(write_checkpoint(tmp_path, LLAMA | {"architectures": [name]}))
    assert error.code == "not-causal-lm"
    assert name in error.message


@pytest.mark.parametrize(
    ("architecture", "text"),
    [
        ("CLIPModel", {"model_type": "clip_text_model"}),
        ("SiglipForConditionalGeneration", {"model_type": "siglip_text_model"}),
        ("Florence2ForConditionalGeneration", {"model_type": "bart", "is_encoder_decoder": True}),
    ],
)
def test_a_wrapper_needs_a_text_decoder(tmp_path: Path, architecture: str, text: dict[str, object]) -> None:
    config = {"architectures": [architecture], "text_config": LLAMA | text, "vision_config": {}}
    error = refused(write_checkpoint(tmp_path, config))
    assert error.code == "not-causal-lm"
    assert f"{architecture} has no text decoder that" in error.message
    assert str(text["model_type"]) in error.message


def test_a_missing_tokenizer_is_an_error_unless_none_is_needed(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, tokenizer=False)
    assert refused(folder).code == "missing-tokenizer"
    assert not read_checkpoint(folder, need_tokenizer=False).has_tokenizer


def test_missing_and_broken_weights_have_different_codes(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1])
    assert refused(folder).code == "broken-weights"
    (folder / "model.safetensors").unlink()
    assert refused(folder).code == "missing-weights"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_read_permission_is_an_error(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "closed")
    folder.chmod(0)
    try:
        assert refused(folder).code == "no-checkpoint"
    finally:
        folder.chmod(0o700)


def test_a_name_too_long_for_a_file_system_is_an_error() -> None:
    assert refused(Path("/tmp") / ("x" * 5000)).code == "no-checkpoint"


REMOTE = LLAMA | {
    "architectures": ["StrangeForCausalLM"],
    "model_type": "strange",
    "auto_map": {"AutoModelForCausalLM": "modeling_strange.StrangeForCausalLM"},
}


def test_code_in_the_checkpoint_is_refused_until_it_is_allowed(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, REMOTE)
    error = refused(folder)
    assert error.code == "remote-code"
    assert "run code" in error.message
    assert "trust_remote_code" in error.hint
    assert read_checkpoint(folder, trust_remote_code=True).needs_remote_code


def test_code_for_a_family_that_transformers_knows_is_not_needed(tmp_path: Path) -> None:
    config = LLAMA | {"auto_map": REMOTE["auto_map"]}
    assert not read_checkpoint(write_checkpoint(tmp_path, config)).needs_remote_code


def test_a_family_name_cannot_point_outside_transformers(tmp_path: Path) -> None:
    assert (
        refused(write_checkpoint(tmp_path, REMOTE | {"model_type": "../models/llama"})).code == "remote-code"
    )
