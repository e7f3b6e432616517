"""The worker's log and its environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.worker import launch, protocol
from engines.worker.launch import WorkerLog, environment
from engines.worker.process import EngineProcess
from tests.engines.worker.helpers import eventually


async def test_a_worker_runs_without_a_writable_log(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    process = await EngineProcess.start("pytorch", tmp_path / "file" / "log")
    assert isinstance(await process.ask(protocol.Describe(1)), protocol.Described)
    await process.close()
    assert process.log_tail() == ""


def write(log: WorkerLog, text: bytes) -> None:
    """Write to the log as a worker does."""
    with log.opened("test") as descriptor:
        os.write(descriptor, text)


def test_the_tail_has_only_lines_of_this_worker(tmp_path: Path) -> None:
    first, second = WorkerLog(tmp_path / "log"), WorkerLog(tmp_path / "log")
    write(first, b"one\ntwo\n")
    write(second, b"three\n\xff four\n")
    assert second.tail(9) == "three\n\ufffd four"
    assert second.tail(1) == "\ufffd four"
    assert "one\ntwo" in (tmp_path / "log").read_text(errors="replace")


def test_a_long_log_is_rotated(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * (launch.LOG_BYTES + 1))
    log = WorkerLog(tmp_path / "log")
    write(log, b"new\n")
    assert log.tail(5) == "new"
    assert (tmp_path / "log.old").stat().st_size == launch.LOG_BYTES + 1
    assert (tmp_path / "log").stat().st_size < 100


async def test_a_log_that_grows_too_long_is_truncated(tmp_path: Path) -> None:
    process = await EngineProcess.start("pytorch", tmp_path / "log")
    await process.ask(protocol.Describe(1))
    with (tmp_path / "log").open("ab") as stream:
        stream.write(b"complaint\n" * 2_000_000)
    assert await eventually(lambda: (tmp_path / "log").stat().st_size < 1000)
    await process.close()


def test_another_interpreter_does_not_get_our_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also if the app is installed in the environment of its torch; and nothing from the working folder."""
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("PYTHONHOME", "/ours")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    other = environment("/other/bin/python")
    assert "PYTHONPATH" not in other
    assert "PYTHONHOME" not in other
    assert other["OMP_NUM_THREADS"] == "3"
    assert environment(sys.executable)["PYTHONPATH"] == "/ours"
    monkeypatch.delenv("PYTHONHOME")
    (tmp_path / "json.py").write_text("raise SystemExit('the json.py of the working folder')")
    script = launch.command_line("pytorch", sys.executable)[2].replace(
        'run_module("engines.worker", run_name="__main__", alter_sys=True)',
        "import engines.worker.service; print(*sys.path, sep='\\n')",
    )
    bare = subprocess.run(
        [sys.executable, "-S", "-c", script, str(launch.ENGINES)],
        cwd=tmp_path, env=environment("/other/bin/python"), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(launch.ENGINES.parent) not in bare.stdout.splitlines()


def test_the_workers_side_runs_on_python_3_10() -> None:
    """Checked by mypy, which needs no interpreter of that version."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-version", "3.10", "--cache-dir", os.devnull,
         "-p", "engines.worker", "-m", "engines.backends.pytorch", "-m", "engines.backends.registry",
         "-m", "engines.build.spec"],
        capture_output=True, text=True, check=False,
        cwd=launch.ENGINES.parent,
    )  # fmt: skip
    wrong = [line for line in done.stdout.splitlines() if "error" in line and "engines/worker" in line]
    assert not wrong, done.stdout
