"""Settings for an app with real engines on a tiny checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.state.comparison import quality_entry
from app.state.settings.settings import EngineChoice, Settings
from engines.backends.registry import BACKENDS
from engines.worker.protocol import Sampling
from tests.app.driving import sampled
from tests.engines.tiny import make_checkpoint

OPENVINO = EngineChoice("openvino", "int8")
PYTORCH = EngineChoice("pytorch", "fp32")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama checkpoint with a few hundred thousand random parameters."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    make_checkpoint(folder, "llama")
    return folder


@pytest.fixture
def settings(tiny: Path) -> Settings:
    """Settings with chosen engines and short answers."""
    settings = Settings(checkpoint=str(tiny), context=512, chosen=True, left=OPENVINO, right=OPENVINO)
    return sampled(settings, Sampling(max_tokens=24, ignore_eos=True))


@pytest.fixture
def two_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """List PyTorch and OpenVINO only on the Quality screen: what else runs depends on the machine."""
    chosen = {name: entry for name, entry in BACKENDS.items() if name in ("pytorch", "openvino")}
    monkeypatch.setattr(quality_entry, "LOCAL", chosen)
