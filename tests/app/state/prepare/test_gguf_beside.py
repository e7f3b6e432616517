"""A GGUF file on one side and another checkpoint on the other: in the settings, and on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from msgspec import structs

from app.cli.arguments import engine_spec, parse_engine
from app.state.prepare.engine_spec import choices_of
from app.state.prepare.gguf_beside import with_own_files
from app.state.settings.settings import EngineChoice, Server, Settings
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT

pytest.importorskip("gguf")

LLAMA, PYTORCH = EngineChoice("llama-cpp", "fp32"), EngineChoice("pytorch", "fp32")


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A GGUF file."""
    from tests.engines.gguf.tiny_gguf import write_tiny_gguf

    return str(write_tiny_gguf(tmp_path / "tiny-F32.gguf"))


def of(choice: EngineChoice, checkpoint: str) -> EngineChoice:
    return structs.replace(choice, checkpoint=checkpoint)


def after(settings: Settings, checkpoint: str, **choices: EngineChoice) -> Settings:
    changes: dict[str, Any] = with_own_files(settings, checkpoint, choices)
    return structs.replace(settings, **changes)


def test_a_file_that_is_chosen_for_one_side_becomes_its_own(file: str) -> None:
    found = after(Settings(right=PYTORCH), file, left=LLAMA)
    assert (found.checkpoint, found.left, found.right) == ("demo", of(LLAMA, file), PYTORCH)
    back = after(found, "demo", left=LLAMA)
    assert back.left == LLAMA
    both = after(found, file, left=LLAMA, right=PYTORCH)
    assert (both.checkpoint, both.left, both.right) == (file, LLAMA, PYTORCH)


def test_a_side_keeps_its_file_when_the_other_gets_another_checkpoint(file: str) -> None:
    settings = Settings(checkpoint=file, left=LLAMA, right=PYTORCH)
    found = after(settings, "demo", right=PYTORCH)
    assert (found.checkpoint, found.left, found.right) == ("demo", of(LLAMA, file), PYTORCH)
    server = EngineChoice("endpoint", "", server=Server("http://127.0.0.1:1"))
    settings = Settings(checkpoint=file, left=server, right=PYTORCH)
    assert after(settings, "demo", right=PYTORCH).left == server
    assert after(Settings(), "/models/other", left=PYTORCH).checkpoint == "/models/other"


def test_engines_that_run_become_settings_again(file: str) -> None:
    specs = {
        "left": EngineSpec(file, "llama-cpp", "fp32"),
        "right": EngineSpec(str(CHECKPOINT), "pytorch", "fp32"),
    }
    found = choices_of(specs)
    assert (found["checkpoint"], found["left"], found["right"]) == ("demo", of(LLAMA, file), PYTORCH)
    alone = choices_of({"left": specs["left"]})
    assert (alone["checkpoint"], alone["left"]) == (file, LLAMA)


def test_a_path_on_the_command_line_is_an_engine(file: str, tmp_path: Path) -> None:
    assert parse_engine(file) == of(LLAMA, file)
    found = engine_spec("demo", file, 512)
    assert (found.checkpoint, found.backend, found.precision) == (file, "llama-cpp", "fp32")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    for name in ("broken.gguf", "none.gguf"):
        with pytest.raises(typer.BadParameter, match=name):
            parse_engine(str(tmp_path / name))


def test_a_folder_with_one_gguf_file_is_that_file(file: str) -> None:
    folder = str(Path(file).parent)
    found = after(Settings(right=PYTORCH), folder, left=LLAMA)
    assert (found.checkpoint, found.left) == ("demo", of(LLAMA, folder))
