"""What a library would open by itself is checked first, and numbers that cannot be right are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.folder_files import refuse_special_files, refuse_undecodable
from engines.plan.checkpoint.json_file import MAX_VALUES, TooManyValues, parse_json
from engines.plan.checkpoint.mismatch import refuse_mismatch
from tests.engines.plan.folders import LLAMA, header, llama_shapes, write_checkpoint


def refusal(folder: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        read_checkpoint(folder)
    return caught.value


@pytest.mark.parametrize(
    "name",
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja",
        "README.md", "random_weights.json", "hf_quant_config.json", "model.safetensors", "anything",
        "model.safetensors.index.json", "additional_chat_templates/tool.jinja",
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["pipe", "/dev/zero"])
def test_a_file_that_is_not_regular_is_refused_by_name(tmp_path: Path, name: str, target: str) -> None:
    folder = write_checkpoint(tmp_path / "model")
    os.mkfifo(tmp_path / "pipe")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / target)
    error = refusal(folder)
    if name == "config.json":
        assert error.code == "no-checkpoint"
    else:
        kind = "a named pipe" if target == "pipe" else "a device"
        assert error.message == f"{Path(name).name} is damaged: it is {kind}, not a regular file."


@pytest.mark.parametrize(
    ("name", "limit"),
    [("config.json", 10), ("chat_template.jinja", 1), ("generation_config.json", 1), ("tokenizer.json", 100)],
)
def test_a_file_larger_than_its_kind_can_be_is_not_read(tmp_path: Path, name: str, limit: int) -> None:
    folder = write_checkpoint(tmp_path)
    with (folder / name).open("ab") as stream:
        stream.truncate(limit * 1_000_000 + 1)
    assert f"at most {limit},000,000 are read" in refusal(folder).message


def test_other_files_may_have_any_size(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    for name in ("trainer_state.json", "notes.txt"):
        with (folder / name).open("wb") as stream:
            stream.truncate(1 << 30)
    (folder / "gone").symlink_to("nowhere")
    assert read_checkpoint(folder).has_tokenizer


def test_json_with_more_values_than_any_checkpoint_has_is_not_parsed(tmp_path: Path) -> None:
    with pytest.raises(TooManyValues):
        parse_json(b"[" + b"[]," * MAX_VALUES + b"[]]")
    folder = write_checkpoint(tmp_path)
    (folder / "config.json").write_bytes(b'{"a":[' + b"[]," * 3_000_000 + b"[]]}")
    assert refusal(folder).message == "config.json is damaged: it has more than 1,000,000 values."


@pytest.mark.parametrize(
    "changed",
    [
        {"rms_norm_eps": float("nan")},
        {"rms_norm_eps": float("inf")},
        {"rms_norm_eps": 0},
        {"layer_norm_epsilon": "small"},
        {"rope_parameters": {"rope_theta": float("nan")}},
        {"initializer_range": float("nan")},
        {"list": [1.0, float("nan")]},
    ],
)
def test_numbers_that_make_every_answer_nan_are_damage(tmp_path: Path, changed: dict[str, object]) -> None:
    assert refusal(write_checkpoint(tmp_path, LLAMA | changed)).code == "broken-config"


def test_infinity_is_a_limit_in_some_configs(tmp_path: Path) -> None:
    """Mamba's."""
    config = LLAMA | {"time_step_limit": [0.0, float("inf")], "rms_norm_eps": 1e-5}
    assert read_checkpoint(write_checkpoint(tmp_path, config)).parameters


def test_tensors_that_share_bytes_are_named(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    entries = json.loads(json.dumps(header(llama_shapes())))
    first, second = (f"model.layers.{layer}.mlp.up_proj.weight" for layer in (0, 1))
    entries[second]["data_offsets"] = entries[first]["data_offsets"]
    body = (folder / "model.safetensors").read_bytes()[-4000:]
    raw = json.dumps(entries).encode()
    size = max(entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__")
    (folder / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + body.ljust(size, b"\0"))
    error = refusal(folder)
    assert error.code == "broken-weights"
    assert "overlap" in error.message
    assert first in error.message
    assert second in error.message


def test_a_config_of_another_model_names_both_shapes(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, LLAMA | {"vocab_size": 200})
    with pytest.raises(EngineError) as caught:
        refuse_mismatch(folder)
    assert caught.value.message == (
        "model.embed_tokens.weight has the shape [100, 64], and config.json says [200, 64]."
    )
    folder = write_checkpoint(tmp_path / "deep", LLAMA | {"num_hidden_layers": 5000})
    with pytest.raises(EngineError, match="5,000 layers, and the files hold 21 tensors"):
        refuse_mismatch(folder)


def test_a_path_that_is_not_utf_8_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    """As the system gives a Latin-1 name: the manifest, which is JSON, could not hold it."""
    with pytest.raises(EngineError, match="not valid UTF-8") as caught:
        refuse_undecodable("/models/caf\udce9")
    assert "\\udce9" in caught.value.message
    refuse_undecodable("/models/café")
    folder = write_checkpoint(tmp_path / "caf\udce9")
    assert refusal(folder).code == "undecodable-path"


def test_an_engine_with_a_pipe_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "libraries").mkdir()
    refuse_special_files(tmp_path)
    os.mkfifo(tmp_path / "libraries" / "x.so")
    with pytest.raises(EngineError, match=r"libraries/x\.so cannot be used: it is a named pipe"):
        refuse_special_files(tmp_path)
