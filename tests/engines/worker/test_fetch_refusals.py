"""What TensorRT-LLM cannot load is refused by its configuration, and its weights are never asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from engines.errors import EngineError
from engines.worker.fetch import fetch
from engines.worker.report import StageReport


class Hub:
    """Stands in for the hub's library: writes a configuration, and keeps what was asked for."""

    def __init__(self, folder: Path, method: str) -> None:
        self.asked: list[list[str]] = []
        self._folder = folder
        config = {"model_type": "llama", "quantization_config": {"quant_method": method, "bits": 4}}
        (folder / "config.json").write_text(json.dumps(config))

    def download(self, _: str, *, allow_patterns: list[str], **__: Any) -> str:
        """Note the patterns."""
        self.asked.append(allow_patterns)
        return str(self._folder)


@pytest.mark.parametrize(
    ("backend", "method", "refused"),
    [
        ("tensorrt-llm", "gptq", True),
        ("tensorrt-llm", "bitsandbytes", True),
        ("tensorrt-llm", "fp8", False),
        ("pytorch", "gptq", False),
    ],
)
def test_configuration_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str, method: str, refused: bool
) -> None:
    hub, report = Hub(tmp_path, method), StageReport(lambda _: None, 1, ("fetch",))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.download)
    if refused:
        with pytest.raises(EngineError, match=f"does not load checkpoints quantised by {method}"):
            fetch("org/name", None, report, backend)
    else:
        assert fetch("org/name", None, report, backend) == tmp_path
    assert ["*.safetensors" in patterns for patterns in hub.asked] == ([False] if refused else [False, True])
