"""read_checkpoint raises nothing but EngineError for any content of a folder."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from tests.engines.plan.folders import LLAMA, header, llama_shapes, write_checkpoint

GARBAGE: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, 1e308,
    "", "x", "\x00", "\ud800", "é" * 300, "../../etc/passwd",
    [], [[]], [None], ["x"] * 50, [2**62] * 12, {}, {"": None}, {"weights": 1}, {"x": {"y": []}},
)  # fmt: skip
KEYS = (
    *LLAMA, "head_dim", "sliding_window", "layer_types", "use_sliding_window", "quantization_config",
    "auto_map", "tie_word_embeddings", "num_local_experts", "num_experts_per_tok", "text_config",
    "multi_query",
)  # fmt: skip


def is_read(folder: Path) -> bool:
    """Return whether the checkpoint can be read; False after an EngineError, its only exception."""
    try:
        read_checkpoint(folder)
    except EngineError:
        return False
    return True


def mutate(value: object, dice: random.Random, depth: int = 0) -> object:
    """Return `value` with something replaced, dropped or added at a random depth."""
    if depth < 4 and isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice([*value])
        changed = {**value, key: mutate(value[key], dice, depth + 1)}
        if dice.random() < 0.2:
            del changed[key]
        return changed
    if depth < 4 and isinstance(value, list) and value and dice.random() < 0.6:
        at = dice.randrange(len(value))
        return [*value[:at], mutate(value[at], dice, depth + 1), *value[at + 1 :]]
    return dice.choice(GARBAGE)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_configs(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    folder, read = write_checkpoint(tmp_path), []
    for _ in range(150):
        config: object = dict(LLAMA)
        for _ in range(dice.randint(1, 3)):
            config = mutate(config, dice)
            if isinstance(config, dict) and dice.random() < 0.7:
                config = {**config, dice.choice(KEYS): dice.choice(GARBAGE)}
        name = dice.choice(["config.json", "config.json", "tokenizer_config.json", "hf_quant_config.json"])
        (folder / "config.json").write_text(json.dumps(LLAMA))
        (folder / name).write_text(json.dumps(config))
        read.append(is_read(folder))
    assert set(read) == {True, False}


@pytest.mark.parametrize("seed", range(4))
def test_mutated_headers(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    folder, read = write_checkpoint(tmp_path), []
    body = bytes(1000)
    for _ in range(150):
        raw = json.dumps(mutate(header(llama_shapes()), dice)).encode()
        length = len(raw) if dice.random() < 0.9 else dice.choice([0, 1, 2**40, 2**64 - 1, len(raw) // 2])
        (folder / "model.safetensors").write_bytes(length.to_bytes(8, "little") + raw + body)
        read.append(is_read(folder))
    assert False in read


@pytest.mark.parametrize("seed", range(2))
def test_flipped_bytes_anywhere(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    folder, read = write_checkpoint(tmp_path), []
    whole = {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}
    for _ in range(100):
        name = dice.choice([*whole])
        broken = bytearray(whole[name][: dice.randint(0, len(whole[name]))])
        for _ in range(dice.randint(0, 8)):
            if broken:
                broken[dice.randrange(min(len(broken), 3000))] = dice.randrange(256)
        (folder / name).write_bytes(broken)
        read.append(is_read(folder))
        (folder / name).write_bytes(whole[name])
    assert False in read
    assert is_read(folder)


@pytest.mark.parametrize("seed", range(2))
def test_mutated_indexes(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    folder, read = write_checkpoint(tmp_path), []
    (folder / "model.safetensors").rename(folder / "shard.safetensors")
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(llama_shapes(), "shard.safetensors")}
    for _ in range(100):
        (folder / "model.safetensors.index.json").write_text(json.dumps(mutate(index, dice)))
        read.append(is_read(folder))
    assert False in read


def test_a_tensor_with_100_000_dimensions_is_refused_quickly(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    entry = {"x": {"dtype": "F32", "shape": [2**62] * 100_000, "data_offsets": [0, 4]}}
    raw = json.dumps(entry).encode()
    (folder / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(4))
    with pytest.raises(EngineError, match="damaged"):
        read_checkpoint(folder)
