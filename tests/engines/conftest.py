"""Checkpoints shared by several tests, read-only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Checkpoint = Callable[..., Path]
Reference = Callable[..., Any]


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers, random weights, a real tokenizer and a chat template."""
    from tests.engines.tiny import make_checkpoint

    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny-llama")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Creates a tiny checkpoint of a family, once for the same arguments."""
    from tests.engines.tiny import make_checkpoint

    made: dict[str, Path] = {}

    def make(family: str = "llama", **overrides: Any) -> Path:
        key = f"{family} {sorted(overrides.items())}"
        if key not in made:
            made[key] = make_checkpoint(tmp_path_factory.mktemp(family) / family, family, **overrides)
        return made[key]

    return make


@pytest.fixture(scope="session")
def reference() -> Reference:
    """Loads a checkpoint in transformers, in fp32 by default, once."""
    import torch
    from transformers import AutoModelForCausalLM

    models: dict[tuple[Path, torch.dtype], Any] = {}

    def make(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
        if (folder, dtype) not in models:
            models[folder, dtype] = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        return models[folder, dtype]

    return make
