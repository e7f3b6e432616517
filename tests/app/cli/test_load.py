"""`trt-playground load` through the installed script, on a tiny checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from app.cli.load import prompts_of, user_counts
from tests.app.cli.test_main import run
from tests.doubles.openai_server import OpenAIServer


def test_load_prints_a_row_for_each_number_of_users(tiny: Path, tmp_path: Path) -> None:
    """As JSON with every figure, and as a table; progress is on stderr."""
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Hello\n\nHow are you?\n")
    arguments = ("load", "-m", str(tiny), "--users", "1,3", "--requests", "2", "--max-tokens", "4")
    arguments += ("--ignore-eos", "--prompts", str(prompts))
    found = run(*arguments, "--json")
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["engine"] == "OpenVINO int8"
    assert [(row["users"], row["completed"], row["tokens"]) for row in document["rows"]] == [
        (1, 2, 8),
        (3, 6, 24),
    ]
    assert all(row["total_rate"] > 0 and row["ttft_p95"] > 0 for row in document["rows"])
    table = run(*arguments)
    assert [line.split()[0] for line in table.stdout.splitlines()[1:]] == ["users", "1", "3"]
    assert "cache hit" in table.stderr


def test_load_of_a_server() -> None:
    """The table names the kind of server; an option that only an engine on this machine has is refused."""
    with OpenAIServer("ovms", breakage="no-usage").running() as double:
        engine = ("load", "--engine", f"endpoint:{double.url}")
        found = run(*engine, "--users", "2", "--requests", "2")
        assert found.returncode == 0, found.stderr
        assert found.stdout.startswith("OpenVINO Model Server ")
        assert found.stdout.splitlines()[-1].split()[:4] == ["2", "4", "≈", "28"]  # 28 characters an answer
        assert {one["messages"][0]["content"] for one in double.chats()} == set(prompts_of(None, ""))
        refused = run(*engine, "--kv-tokens", "64")
        assert refused.returncode == 2
        assert "A server chooses" in refused.stderr


def test_engines_that_do_not_batch_are_refused_before_a_build() -> None:
    found = run("load", "--engine", "pytorch:fp32")
    assert found.returncode == 2
    assert "one request at a time" in found.stderr
    assert "OpenVINO" in found.stderr


@pytest.mark.parametrize("text", ["", "0", "33", "1,,2", "many", "-1", "1;2"])
def test_numbers_of_users_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="1 to 32"):
        user_counts(text)


def test_prompts_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="no such file"):
        prompts_of(tmp_path / "none.txt", "demo")
    assert len(prompts_of(None, "demo")) >= 3
