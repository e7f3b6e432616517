"""What TensorRT-LLM cannot load is refused by its configuration, and its weights are never asked for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
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
        quantised = {"quant_method": method, "bits": 4}
        config = {"architectures": ["LlamaForCausalLM"], "quantization_config": quantised}
        (folder / "config.json").write_text(json.dumps(config))

    def download(self, _: str, *, allow_patterns: list[str], **__: Any) -> str:
        """Note the patterns."""
        self.asked.append(allow_patterns)
        return str(self._folder)


def tell_files(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """What the hub says of the checkpoint."""
    files = [SimpleNamespace(rfilename=name) for name in names]
    described = SimpleNamespace(siblings=files)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: described)


def test_gguf_files_are_not_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub, report = Hub(tmp_path, "gguf"), StageReport(lambda _: None, 1, ("fetch",))
    tell_files(monkeypatch, "README.md", "model-Q4_K_M.gguf")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.download)
    with pytest.raises(EngineError, match=r"holds GGUF files, which are llama\.cpp's"):
        fetch("org/name-GGUF", None, report, "pytorch")
    assert not hub.asked


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
    tell_files(monkeypatch, "config.json", "model.safetensors")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.download)
    if refused:
        with pytest.raises(EngineError, match=f"does not load checkpoints quantised by {method}"):
            fetch("org/name", None, report, backend)
    else:
        assert fetch("org/name", None, report, backend) == tmp_path
    assert ["*.safetensors" in patterns for patterns in hub.asked] == ([False] if refused else [False, True])
