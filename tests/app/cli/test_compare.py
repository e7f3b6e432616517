"""`trt-playground compare`: the table, the report, a saved comparison, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import cli
from engines.compare.comparison import load_comparison, save_comparison
from tests.engines.compare.sample import COMPARISON


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["compare", *arguments])


def test_engines_are_compared_and_the_report_is_written(tmp_path: Path) -> None:
    """With real engines, over a file."""
    text = tmp_path / "own.txt"
    text.write_text("The KV cache grows with every token of the conversation. " * 4, "utf-8")
    out = tmp_path / "report"
    done = run("openvino:int8", "--reference", "openvino:fp32", "--text", str(text), "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "OpenVINO int8" in done.stdout
    assert sorted(file.name for file in out.iterdir()) == [
        "comparison.csv",
        "comparison.html",
        "comparison.json",
        "comparison.md",
    ]
    comparison = load_comparison(out / "comparison.json")
    assert comparison.checkpoint == "demo"
    assert comparison.rows[0].quality
    again = run("--open", str(out))
    assert again.exit_code == 0
    assert again.stdout == done.stdout


def test_a_saved_comparison_needs_no_engine(tmp_path: Path) -> None:
    save_comparison(COMPARISON, tmp_path / "comparison.json")
    done = run("--open", str(tmp_path / "comparison.json"), "--out", str(tmp_path / "copy"))
    assert done.exit_code == 0
    assert "≥ 0.20" in done.stdout
    assert "OpenVINO fp8: CPUs have no <FP8>." in done.stderr
    assert load_comparison(tmp_path / "copy" / "comparison.json") == COMPARISON


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "Name at least one engine"),
        (("openvino",), "BACKEND:PRECISION"),
        (("openvino:int8", "--text", "/no/such/file"), "--text"),
        (("--open", "/no/such/file"), "cannot be read"),
        (("openvino:int8", "-m", "/no/such/model"), "There is no folder"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments: tuple[str, ...], reason: str) -> None:
    done = run(*arguments)
    assert done.exit_code != 0
    assert reason in done.output
    assert "Traceback" not in done.output
