"""Every app has its own logs, and old ones are deleted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from engines.worker.launch import WorkerLog
from engines.worker.log_files import LOGS_KEPT, log_file, newest_logs


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def make(path: Path, age: int) -> Path:
    path.write_text("line\n")
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_two_apps_have_two_logs(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from engines.worker.log_files import log_file\n"
    code += "print(log_file(Path(sys.argv[1]), 'left'))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    mine = log_file(tmp_path, "left")
    assert mine.name == f"left-{os.getpid()}.log"
    assert Path(done.stdout.strip()).parent == mine.parent
    assert Path(done.stdout.strip()) != mine


def test_the_newest_ten_of_a_kind_are_kept(tmp_path: Path) -> None:
    pid = dead_pid()  # of no process; those after it are most likely of none either
    logs = [make(tmp_path / f"left-{4_000_000 + number}.log", age=number) for number in range(14)]
    logs.append(make(tmp_path / "left.log", age=99))  # of an earlier version
    aside = make(tmp_path / f"{logs[12].name}.old", age=12)
    others = [make(tmp_path / name, age=999) for name in ("right.log", f"left-build-{pid}.log", "doctor.log")]
    running = make(tmp_path / f"left-{os.getppid()}.log", age=9999)
    with WorkerLog(log_file(tmp_path, "left")).opened("test"):
        kept = {path.name for path in tmp_path.glob("left-[0-9]*.log")}
    assert kept == {path.name for path in logs[: LOGS_KEPT - 1]} | {running.name, f"left-{os.getpid()}.log"}
    assert not aside.exists()
    assert not (tmp_path / "left.log").exists()
    assert all(path.exists() for path in others)


def test_the_newest_log_of_every_kind_is_listed(tmp_path: Path) -> None:
    make(tmp_path / "left-1.log", age=3)
    left = make(tmp_path / "left-2.log", age=2)
    build = make(tmp_path / "left-build-1.log", age=9)
    assert newest_logs(tmp_path) == [build, left]
    assert newest_logs(tmp_path / "none") == []
