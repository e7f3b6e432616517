"""A fixture that starts the app in terminals and closes them after the test, and a small checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.state.settings.paths import NAME
from app.state.settings.settings import Settings, save_settings
from tests.e2e.terminal import Terminal, playground

StartApp = Callable[..., Terminal]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama checkpoint with random weights: what is measured with it takes seconds, not minutes."""
    from tests.engines.tiny import make_checkpoint  # imports PyTorch

    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny-llama")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartApp]:
    """Return a function that starts the app in a new terminal with an empty home folder."""
    terminals: list[Terminal] = []

    def begin(
        *arguments: str, width: int = 120, height: int = 36, settings: Settings | None = None
    ) -> Terminal:
        folder = tmp_path / f"home-{len(terminals)}" if terminals else tmp_path
        folder.mkdir(exist_ok=True)
        if settings:
            save_settings(folder / ".config" / NAME / "settings.toml", settings)
        terminals.append(Terminal(folder, playground(*arguments), width, height))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()
