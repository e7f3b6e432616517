"""Checkpoints that a backend cannot load are refused before their weights are downloaded."""

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


class FakeHub:
    """Replaces huggingface_hub's download: provides a configuration, and records the requested patterns."""

    def __init__(self, folder: Path, method: str) -> None:
        self.requested: list[list[str]] = []
        self._folder = folder
        quantised = {"quant_method": method, "bits": 4}
        config = {"architectures": ["LlamaForCausalLM"], "quantization_config": quantised}
        (folder / "config.json").write_text(json.dumps(config))

    def download(self, _: str, *, allow_patterns: list[str], **__: Any) -> str:
        """Record the patterns and return the folder."""
        self.requested.append(allow_patterns)
        return str(self._folder)


def set_hub_files(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Set the files that the hub lists for the checkpoint."""
    files = [SimpleNamespace(rfilename=name) for name in names]
    described = SimpleNamespace(siblings=files)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: described)


def test_gguf_files_are_not_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub, report = FakeHub(tmp_path, "gguf"), StageReport(lambda _: None, 1, ("fetch",))
    set_hub_files(monkeypatch, "README.md", "model-Q4_K_M.gguf")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.download)
    with pytest.raises(EngineError, match=r"holds GGUF files, the format of llama\.cpp"):
        fetch("org/name-GGUF", None, report, "pytorch")
    assert not hub.requested


@pytest.mark.parametrize(
    ("backend", "method", "refused"),
    [
        ("tensorrt-llm", "gptq", True),
        ("tensorrt-llm", "bitsandbytes", True),
        ("tensorrt-llm", "fp8", False),
        ("pytorch", "gptq", False),
    ],
)
def test_the_configuration_is_downloaded_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str, method: str, refused: bool
) -> None:
    hub, report = FakeHub(tmp_path, method), StageReport(lambda _: None, 1, ("fetch",))
    set_hub_files(monkeypatch, "config.json", "model.safetensors")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.download)
    if refused:
        with pytest.raises(EngineError, match=f"does not load checkpoints quantised by {method}"):
            fetch("org/name", None, report, backend)
    else:
        assert fetch("org/name", None, report, backend) == tmp_path
    assert ["*.safetensors" in patterns for patterns in hub.requested] == (
        [False] if refused else [False, True]
    )
