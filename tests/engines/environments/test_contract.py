"""The contract is read from source: it holds for both generations, and a removed name is pointed at."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engines.environments.contract import CONTRACT, broken, check
from tests.engines.double_environment import DOUBLE


@pytest.fixture(params=["1_2", "main"])
def package(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The source of the double."""
    for part in ("both", f"generation_{request.param}"):
        shutil.copytree(DOUBLE / part, tmp_path, dirs_exist_ok=True)
    return tmp_path / "tensorrt_llm"


def test_both_generations_keep_it(package: Path) -> None:
    """What only release 1.2 lacks is what it ignores; the texts of errors are tested on skeletons."""
    verdicts = check(package)
    with_engines = (package / "_tensorrt_engine").is_dir()
    missing = [one.row.name for one in verdicts if one.state != "present" and one.row.kind != "text"]
    assert missing == (["seed", "min_p", "repetition_penalty", "telemetry"] if with_engines else [])
    assert broken(verdicts) == []
    assert len(verdicts) == len([row for row in CONTRACT if with_engines or not row.engine_only])


def test_a_removed_field_is_pointed_at(package: Path) -> None:
    file = package / "llmapi" / "llm_args.py"
    lines = file.read_text().splitlines()
    gone = next(at for at, line in enumerate(lines) if line.strip().startswith("max_tokens:"))
    owner = max(at for at, line in enumerate(lines[:gone]) if line.startswith("class "))
    file.write_text("\n".join(lines[:gone] + lines[gone + 1 :]))
    words = [one.words for one in broken(check(package))]
    assert words == [f"llmapi/llm_args.py:{owner + 1}: KvCacheConfig.max_tokens (field) is missing"]


def test_a_renamed_parameter_is_pointed_at(package: Path) -> None:
    file = package / "llmapi" / "llm.py"
    text = file.read_text().replace("        streaming: bool = False,", "        stream: bool = False,")
    file.write_text(text)
    line = text[: text.index("def generate_async")].count("\n") + 1
    words = [one.words for one in broken(check(package))]
    assert words == [f"llmapi/llm.py:{line}: LLM.generate_async.streaming (parameter) is missing"]


def test_a_property_that_became_a_method_has_changed(package: Path) -> None:
    file = package / "executor" / "result.py"
    text = file.read_text().replace("    @property\n    def finished", "    def finished")
    file.write_text(text)
    assert [one.state for one in broken(check(package))] == ["changed"]


def test_what_only_fills_a_panel_breaks_nothing(package: Path) -> None:
    file = package / "llmapi" / "llm.py"
    file.write_text(file.read_text().replace("def get_stats", "def get_statistics"))
    verdicts = check(package)
    assert any("get_stats" in one.words for one in verdicts if one.state == "missing")
    assert broken(verdicts) == []


def test_no_package_is_all_missing(tmp_path: Path) -> None:
    assert all(one.state == "missing" for one in check(tmp_path))
