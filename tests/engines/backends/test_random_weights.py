"""Random weights are reproducible from the seed of a model shape."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from engines.backends.pytorch import PyTorchBackend
from engines.backends.random_weights import is_random, random_model
from engines.build.spec import EngineSpec
from engines.plan.random_shape import MARKER
from tests.doubles.log_report import LogReport
from tests.engines.tiny import make_checkpoint


def test_weights_come_from_the_seed_and_not_from_a_file(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "shape", num_hidden_layers=1)
    assert not is_random(folder)
    (folder / "model.safetensors").unlink()
    (folder / MARKER).write_text(json.dumps({"seed": 3}), "utf-8")
    assert is_random(folder)
    first, again = (random_model(folder, torch.float32, "cpu").lm_head.weight for _ in range(2))
    assert torch.equal(first, again)
    (folder / MARKER).write_text(json.dumps({"seed": 4}), "utf-8")
    assert not torch.equal(first, random_model(folder, torch.float32, "cpu").lm_head.weight)
    backend = PyTorchBackend()
    backend.load(EngineSpec(str(folder), "pytorch", "fp32"), folder, None, LogReport())
    assert len(backend.score([1, 2, 3]).logprobs) == 2
