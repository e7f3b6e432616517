"""Model shapes with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.build.prepare import local_folder
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.random_shape import PREFIX, SHAPES, random_seed, shape_folder

PARAMETERS = {"llama-2-7b": 6_738_415_616, "llama-3.1-8b": 8_030_261_248, "qwen3-4b": 4_022_468_096}
"""As published."""


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_reads_as_a_checkpoint_marked_as_random(name: str, tmp_path: Path) -> None:
    folder = shape_folder(PREFIX + name, tmp_path, seed=7)
    checkpoint = read_checkpoint(folder)
    assert checkpoint.parameters == PARAMETERS[name]
    assert checkpoint.name == f"random-{name}"
    assert checkpoint.dtype == "bf16"
    assert checkpoint.has_chat_template
    assert checkpoint.identity != read_checkpoint(shape_folder(PREFIX + name, tmp_path)).identity
    shape_folder(PREFIX + name, tmp_path, seed=7)
    assert random_seed(folder) == 7
    assert sum(file.stat().st_size for file in folder.iterdir()) < 2_000_000


def test_an_unknown_shape_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        shape_folder("shape:gpt-9", tmp_path)
    assert "shape:qwen3-4b" in caught.value.hint


def test_a_checkpoint_has_no_seed(tmp_path: Path) -> None:
    assert random_seed(tmp_path) is None


def test_a_spec_may_name_a_shape_as_its_checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = local_folder(EngineSpec("shape:qwen3-4b", "pytorch", "bf16"))
    assert folder is not None
    assert folder.is_relative_to(tmp_path)
    assert random_seed(folder) == 0
