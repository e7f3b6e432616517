"""Folders as people have them: git-lfs pointers, a stale index, two copies of the weights, broken links."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.tensors import INDEX, tensor_entries, weight_files
from tests.engines.plan.folders import write_checkpoint
from tests.engines.tiny import make_checkpoint

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345678\n"
)


def refused(folder: Path) -> EngineError:
    """Return the error with which a folder is refused."""
    with pytest.raises(EngineError) as caught:
        read_checkpoint(folder)
    return caught.value


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "config.json", "tokenizer_config.json"]
)
def test_a_pointer_of_git_lfs_is_recognised(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path)
    (folder / name).write_text(POINTER)
    error = refused(folder)
    assert error.message == f"{name} is a pointer of git-lfs, not the file itself."
    assert "git lfs pull" in error.hint


def test_a_pointer_in_place_of_a_shard_or_of_the_index(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "sharded", max_shard_size="500KB")
    shard = min(folder.glob("model-*.safetensors"))
    shard.write_text(POINTER)
    assert f"{shard.name} is a pointer of git-lfs" in refused(folder).message
    (folder / INDEX).write_text(POINTER)
    assert f"{INDEX} is a pointer of git-lfs" in refused(folder).message


def test_a_stale_index_beside_whole_weights_is_not_read(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)
    before = read_checkpoint(folder).weights
    stale = {"metadata": {}, "weight_map": {"model.norm.weight": "model-00001-of-00009.safetensors"}}
    (folder / INDEX).write_text(json.dumps(stale))
    found = read_checkpoint(folder)
    assert (found.weights, found.unused_files) == (before, (INDEX,))
    _, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]


def test_shards_beside_whole_weights_are_not_counted_twice(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "sharded", max_shard_size="500KB")
    shards = sorted(file.name for file in folder.glob("model-*.safetensors"))
    whole = make_checkpoint(tmp_path / "whole")
    shutil.copyfile(whole / "model.safetensors", folder / "model.safetensors")
    found = read_checkpoint(folder)
    assert [file.name for file in weight_files(folder)] == ["model.safetensors"]
    assert found.weights == read_checkpoint(whole).weights
    assert found.unused_files == (*shards, INDEX)


@pytest.mark.parametrize("other", ["consolidated.safetensors", "adapter_model.safetensors"])
def test_other_safetensors_files_are_no_weights(tmp_path: Path, other: str) -> None:
    folder = write_checkpoint(tmp_path)
    whole = tensor_entries(folder)
    (folder / other).write_text(POINTER)  # not read, so not refused
    assert read_checkpoint(folder).unused_files == (other,)
    assert tensor_entries(folder) == whole
    (folder / "model.safetensors").rename(folder / other)
    error = refused(folder)
    assert (error.code, other in error.message) == ("missing-weights", True)
    with pytest.raises(OSError, match=r"model\.safetensors"):
        AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_broken_link_is_named(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path)
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "blobs" / "gone")
    error = refused(folder)
    assert name in error.message
    assert "link to a file that is missing" in error.message
