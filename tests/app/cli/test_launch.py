"""Options of the app that exclude each other, and what a demo or a replay starts with."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.launch import LaunchOptions
from app.state.settings.settings import DEMO, EngineChoice, Settings
from tests.app.cli.test_main import run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--demo", "--continue"), "only one of"),
        (("--demo", "--replay", "1"), "only one of"),
        (("--loop",), "--loop needs"),
        (("--replay", "7"), "There is no conversation 7"),
        (("--replay", "/nowhere/talk.jsonl"), "cannot be read"),
    ],
)
def test_options_that_cannot_be_used(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.returncode
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_file_without_a_conversation_is_not_replayed(tmp_path: Path) -> None:
    (tmp_path / "talk.jsonl").write_text('{"type":"named","name":""}\n{"type":"from tomorrow"}\nnoise\n')
    done = run("--replay", str(tmp_path / "talk.jsonl"))
    assert done.returncode == 1
    assert "does not contain a conversation" in done.stderr


def test_a_demo_asks_nothing_first() -> None:
    """On a first start it takes the demo checkpoint and the default engines; otherwise what was chosen."""
    first = LaunchOptions(demo=True).applied_to(Settings())
    assert first.chosen
    assert (first.checkpoint, first.left) == (DEMO, Settings().left)
    chosen = Settings(checkpoint="/models/qwen", chosen=True, left=EngineChoice("openvino", "int4"))
    assert LaunchOptions(demo=True).applied_to(chosen) == chosen
    other = LaunchOptions(demo=True, right="openvino:int8").applied_to(chosen)
    assert other.right == EngineChoice("openvino", "int8")
