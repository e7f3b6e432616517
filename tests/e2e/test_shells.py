"""Completion with Tab in a real zsh and a real fish."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal, playground

pytestmark = pytest.mark.e2e
START = {
    "zsh": (
        ".zshrc",
        "autoload -Uz compinit; compinit -u\n"
        'eval "$(trt-playground --show-completion zsh)"\nPROMPT="ready> "\n',
    ),
    "fish": (
        ".config/fish/config.fish",
        "set -g fish_greeting\ntrt-playground --show-completion fish | source\n"
        "function fish_prompt; echo -n 'ready> '; end\n",
    ),
}


@pytest.fixture(params=START)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """A shell in a terminal, with the completion script loaded."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    name, text = START[request.param]
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(playground()[0]).parent
    path = f"export PATH={folder}:$PATH _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1\n"
    file.write_text(path + text)
    opened = Terminal(tmp_path, [request.param])
    opened.wait_for("ready>")
    yield opened
    opened.close()


COMPLETED = {
    "trt-playground con": "trt-playground conversations",
    "trt-playground --left openvino:b": "--left openvino:bf16",
    "trt-playground env create ": "env create tensorrt-llm",
}


def test_tab(shell: Terminal) -> None:
    """Also after a colon, and for values that the program provides."""
    for typed, completed in COMPLETED.items():
        shell.type(typed)
        shell.keys("Tab")
        shell.wait_for(f"ready> .*{completed}")
        shell.keys("C-c")
        shell.wait_for(r"ready>\s*\Z")
