"""Checkpoints that a backend cannot load are refused before their weights are downloaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.worker.fetch import fetch
from engines.worker.report import StageReport
from tests.doubles.hub import HubDouble

REPORT = StageReport(lambda _: None, 1, ("fetch",))


def add_model(double: HubDouble, folder: Path, weights: str, **config: object) -> None:
    """Put a model with one weight file of a few bytes on the hub."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]} | config))
    (folder / weights).write_bytes(b"weights")
    double.add("org/name", folder)


def test_gguf_files_are_not_downloaded(
    hub: HubDouble,
    tmp_path: Path,
) -> None:
    add_model(hub, tmp_path / "model", "model-Q4_K_M.gguf")
    with pytest.raises(EngineError, match=r"holds GGUF files, the format of llama\.cpp"):
        fetch("org/name", None, REPORT, "pytorch")
    assert not hub.sent


@pytest.mark.parametrize(
    ("backend", "method", "refused"),
    [
        ("tensorrt-llm", "gptq", True),
        ("tensorrt-llm", "bitsandbytes", True),
        ("tensorrt-llm", "fp8", False),
        ("pytorch", "gptq", True),
    ],
)
def test_the_configuration_is_downloaded_first(
    hub: HubDouble,
    tmp_path: Path,
    backend: str,
    method: str,
    refused: bool,
) -> None:
    quantised = {"quant_method": method, "bits": 4}
    add_model(hub, tmp_path / "model", "model.safetensors", quantization_config=quantised)
    if refused:
        with pytest.raises(EngineError, match=f"uantised by {method}"):
            fetch("org/name", None, REPORT, backend)
        assert set(hub.sent) == {"config.json"}
    else:
        assert (fetch("org/name", None, REPORT, backend) / "model.safetensors").read_bytes() == b"weights"
