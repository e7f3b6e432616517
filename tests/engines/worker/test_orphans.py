"""Workers end when the app is killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from engines.worker.launch import command_line, environment
from tests.engines.worker.helpers import eventually, is_gone


async def test_the_worker_dies_with_the_app(tmp_path: Path) -> None:
    app = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.engines.worker.app_stand_in", tmp_path, "none"
    )
    try:
        assert await eventually((tmp_path / "pid").exists, 30)
        worker = int((tmp_path / "pid").read_text())
        assert not is_gone(worker)
    finally:
        app.kill()
        await app.wait()
    assert await eventually(lambda: is_gone(worker))


async def test_without_prctl_the_worker_ends_when_its_input_closes(tmp_path: Path) -> None:
    command = command_line("pytorch", sys.executable)
    command[command.index("--parent") + 1] = "0"  # no prctl
    worker = subprocess.Popen(  # noqa: ASYNC220 - the test needs its pipes
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(sys.executable)
    )
    assert worker.stdin
    assert worker.stdout
    assert worker.stdout.readline().startswith(b'{"type":"hello"')
    worker.stdin.close()
    assert await asyncio.to_thread(worker.wait, 2) == 0
    worker.stdout.close()


async def test_a_worker_of_another_app_does_not_start(tmp_path: Path) -> None:
    command = command_line("pytorch", sys.executable)
    command[command.index("--parent") + 1] = "1"
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.returncode == 1
    assert done.stderr == "the app (process 1) is not the parent of this worker\n"
