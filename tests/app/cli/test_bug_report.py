"""`doctor --report`: has what a bug report needs, without private data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import bug_report
from app.cli.main import cli
from app.state.settings import paths
from app.state.settings.settings import ChatOptions, EngineChoice, Settings, save_settings
from engines.worker.protocol import Sampling
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.double_environment import make_environment

PROMPT, STOP = "You are Ada's secretary.", "Yours, Ada"


def doctor(*arguments: str) -> Result:
    """Run `trt-playground doctor`."""
    return CliRunner().invoke(cli, ["doctor", *arguments])


def test_the_file_has_every_part(own_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_AbCdEfGhIjKlMnOpQr")
    python = make_environment(tmp_path / "made", "main")
    assert CliRunner().invoke(cli, ["env", "use", "tensorrt-llm", str(python)]).exit_code == 0
    options = ChatOptions(PROMPT, Sampling(stop=(STOP,)))
    chosen = Settings(left=EngineChoice("openvino", "int4"), left_chat=options, presets={PROMPT: options})
    save_settings(paths.settings_file(), chosen)
    paths.log_folder().mkdir(parents=True, exist_ok=True)
    lines = [f"line {number} hf_AbCdEfGhIjKlMnOpQr" for number in range(200)]
    (paths.log_folder() / "left.log").write_text("\n".join(lines))
    file = tmp_path / "report.txt"
    done = doctor("--report", str(file))
    assert done.exit_code == 0, done.output
    text = file.read_text()
    for part in ("OpenVINO:", "env check tensorrt-llm", "names present", "engines in", 'precision = "int4"'):
        assert part in text
    assert f"line {200 - bug_report.LOG_LINES} <" in text
    assert f"line {199 - bug_report.LOG_LINES} <" not in text
    assert f'system_prompt = "{len(PROMPT)} characters"' in text
    assert text.count("tensorrt_llm sends no usage statistics: TRTLLM_NO_USAGE_STATS=1") == 1
    for private in (PROMPT, STOP, "hf_AbC"):
        assert private not in text


FAILED_STARTS = (
    ("libmpi", "the MPI library was not found", "libmpi.so.40: cannot open shared object file"),
    ("no-slots", "MPI has no free slot", "All nodes which are allocated for this job are already filled."),
    ("out-of-memory", "There is not enough memory.", "CUDA out of memory. Tried to allocate 2.00 GiB."),
    ("insufficient-memory", "There is not enough memory.", "failed due to insufficient GPU memory"),
    ("dies-at-load", "engine process ended while starting", "died during initialization"),
)
"""How the library fails, what is said of it, and the cause, also what only its own process said."""


def test_the_causes_of_failed_starts_are_in_it(
    own_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each start has its log, as if each had been of another engine: one report has the ends of all."""
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(Gpu(),)))
    python = make_environment(tmp_path / "made", "main")
    assert CliRunner().invoke(cli, ["env", "use", "tensorrt-llm", str(python)]).exit_code == 0
    logs = tmp_path / "logs"
    logs.mkdir()
    for failure, message, _ in FAILED_STARTS:
        monkeypatch.setenv("TENSORRT_LLM_DOUBLE", failure)
        asked = CliRunner().invoke(cli, ["ask", "Hello", "--engine", "tensorrt-llm:bf16"])
        assert asked.exit_code == 1
        assert message in asked.stderr
        [log] = paths.log_folder().glob("*.log")
        log.rename(logs / f"{failure}.log")
    monkeypatch.delenv("TENSORRT_LLM_DOUBLE")
    for log in logs.iterdir():
        log.rename(paths.log_folder() / log.name)
    file = tmp_path / "report.txt"
    assert doctor("--report", str(file)).exit_code == 0
    sections = file.read_text().split("\n## ")
    for failure, _, cause in FAILED_STARTS:
        [section] = [one for one in sections if one.startswith(f"{failure}.log, ")]
        assert cause in section


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("mine")
    done = doctor("--report", str(file))
    assert done.exit_code == 1
    assert "already exists" in done.output
    assert file.read_text() == "mine"


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    done = doctor("--report", str(tmp_path / "no" / "report.txt"))
    assert done.exit_code == 1
    assert "cannot be written: No such file" in done.output


def test_a_cancelled_report_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel(*_: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(bug_report, "report", cancel)
    with pytest.raises(KeyboardInterrupt):
        bug_report.write_report(tmp_path / "report.txt", 1)
    assert not list(tmp_path.iterdir())


def test_broken_settings_and_logs_are_reported(
    own_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bug_report, "report", _nothing)
    paths.settings_file().parent.mkdir(parents=True, exist_ok=True)
    paths.settings_file().write_text("context = 'long'")
    (paths.log_folder() / "folder.log").mkdir(parents=True)
    bug_report.write_report(tmp_path / "report.txt", 1)
    text = (tmp_path / "report.txt").read_text()
    assert "cannot be used" in text
    assert "The log cannot be read" in text


async def _nothing() -> list[str]:
    return []
