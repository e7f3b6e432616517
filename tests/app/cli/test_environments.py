"""`trt-playground env`, as people type it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.state.settings.paths import environment_folder
from tests.engines.double_environment import make_environment


def env(*words: str) -> tuple[int, str]:
    """Exit code and everything printed."""
    result = CliRunner().invoke(cli, ["env", *words])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the double."""
    return make_environment(tmp_path_factory.mktemp("environment") / "made", "main")


def test_used_listed_checked_and_removed(python: Path) -> None:
    assert "env create tensorrt-llm" in env("list")[1]
    assert env("use", "tensorrt-llm", str(python))[0] == 0
    code, text = env("list")
    assert "tensorrt-llm 1.4.0rc1  OK, yours, PyTorch-based LLM API only" in text
    code, text = env("check")
    assert code == 0, text
    assert "It can be imported." in text
    assert "names present" in text
    assert env("remove", "tensorrt-llm")[0] == 0
    assert env("remove", "tensorrt-llm")[0] == 1


def test_a_check_points_at_what_is_missing(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "broken", "main")
    file = next((tmp_path / "broken").glob("lib/python*/site-packages/tensorrt_llm/executor/result.py"))
    file.write_text(file.read_text().replace("def token_ids_diff", "def token_ids_new"))
    assert env("use", "tensorrt-llm", str(python))[0] == 0
    code, text = env("check")
    assert code == 1
    assert "CompletionOutput.token_ids_diff (property) is missing" in text


def test_what_is_unknown_is_said_in_words() -> None:
    code, text = env("create", "triton")
    assert code == 2
    assert "There is: tensorrt-llm" in text
    code, text = env("use", "tensorrt-llm", "/no/such/python")
    assert code == 1
    assert "not an interpreter" in text


def test_what_this_release_cannot_read_is_listed_with_its_size_and_removed() -> None:
    """A damaged record, and an environment of a backend that this release does not have."""
    root = environment_folder()
    for name, record in (("tensorrt-llm", "{"), ("triton", '{"name":"triton","python":"/p","managed":true}')):
        (root / name).mkdir(parents=True)
        (root / name / "environment.json").write_text(record)
        (root / name / "large").write_bytes(bytes(4096))
    code, text = env("list")
    assert code == 0
    assert "tensorrt-llm  unreadable (another release, damaged, or interrupted), 4.00 KiB" in text
    assert "this release has no backend 'triton'" in text
    assert env("remove", "tensorrt-llm")[0] == env("remove", "triton")[0] == 0
    assert not list(root.iterdir())
    assert env("remove", "..")[0] == 1
