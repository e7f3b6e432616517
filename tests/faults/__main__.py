"""`make faults`: attack the program for about twenty minutes, and print what was tried, survived and lost.

python -m tests.faults [--seed N] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from screenshots.served import served
from tests.engines.tiny import make_checkpoint
from tests.faults import attack, kills, serve_tabs
from tests.faults.result import Result
from tests.faults.tested import run_tests
from tests.runner.mark import MARK

WORKERS, APPS, BUILDS, TABS, CHECKPOINTS = 170, 30, 50, 20, 260
COMPILED = 8
"""Hostile checkpoints that are compiled, of those that another backend loads."""
MONKEYS = (((80, 24), 2500), ((40, 10), 2500))
"""Size of the terminal, and keys."""


def main() -> int:
    """Run the campaigns; returns 1 if something was lost."""
    parser = argparse.ArgumentParser(description="Attack the program and count what survives.")
    parser.add_argument("--seed", type=int, default=1, help="of every random choice")
    parser.add_argument("--only", nargs="*", choices=CAMPAIGNS, default=list(CAMPAIGNS))
    given = parser.parse_args()
    os.environ.setdefault(MARK, f"faults-{os.getpid()}")
    table = Table("campaign", "tried", "survived", "lost", "seconds", box=None)
    lost = 0
    for name in given.only:
        for result, seconds in _run(CAMPAIGNS[name], given.seed):
            table.add_row(
                result.name, str(result.tried), str(result.survived), str(len(result.lost)), f"{seconds:.0f}"
            )
            for problem in result.lost:
                print(f"LOST  {result.name}: {problem}", flush=True)
            lost += len(result.lost)
    Console().print(table)
    return min(lost, 1)


def _run(campaign: Callable[[int, Path], Iterator[Result]], seed: int) -> Iterator[tuple[Result, float]]:
    with _own_home() as folder:
        started = time.monotonic()
        for result in campaign(seed, folder):
            seconds, started = time.monotonic() - started, time.monotonic()
            print(f"{result.name}: {result.survived} of {result.tried}, {seconds:.0f} s", flush=True)
            yield result, seconds


@contextmanager
def _own_home() -> Iterator[Path]:
    """Use empty folders for everything that the app keeps."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("CONFIG", "CACHE", "DATA", "STATE"):
            os.environ[f"XDG_{name}_HOME"] = str(Path(folder) / name.lower())
        os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        try:
            yield Path(folder)
        finally:
            os.environ.clear()
            os.environ.update(before)


def _kills(seed: int, folder: Path) -> Iterator[Result]:
    yield asyncio.run(kills.kill_workers(WORKERS, seed, folder / "workers"))
    home = folder / "home"
    home.mkdir()
    yield kills.kill_apps(APPS, seed, home)


def _builds(seed: int, folder: Path) -> Iterator[Result]:
    yield asyncio.run(kills.kill_builds(BUILDS, seed, folder))


def _checkpoints(seed: int, folder: Path) -> Iterator[Result]:
    good = folder / "good"
    make_checkpoint(good, "llama")
    names = attack.chosen(CHECKPOINTS, seed)
    loaded = set[str]()
    for backend in attack.PRECISION:
        if backend == "compiled":  # what can be loaded is compiled, for half a minute each time
            slow = [name for name in names if name in loaded][COMPILED:]
            names = [name for name in names if name not in slow]
        result, found = asyncio.run(attack.attack_all(backend, good, folder / backend, names))
        loaded |= found
        yield result


def _monkeys(seed: int, folder: Path) -> Iterator[Result]:
    """In processes of their own: a monkey changes its environment."""
    for (width, height), keys in MONKEYS:
        command = [sys.executable, "-m", "tests.faults.monkey", "--seed", str(seed), "--keys", str(keys)]
        done = subprocess.run(
            [*command, "--size", f"{width}x{height}"], capture_output=True, text=True, check=False
        )
        result = Result(f"keys and clicks at {width}x{height}", keys, keys)
        if done.returncode:
            result.survived, result.lost = 0, [f"{done.stdout}{done.stderr}"]
        yield result


def _garbage(seed: int, folder: Path) -> Iterator[Result]:
    yield run_tests("garbage of a worker", folder, "tests/app/test_garbage.py")


def _disks(seed: int, folder: Path) -> Iterator[Result]:
    yield run_tests(
        "full and failing disks",
        folder,
        "tests/app/test_unsaved_mark.py",
        "tests/app/state/conversation/test_unsaved.py",
        "tests/engines/backends/openvino/test_saving.py",
        "tests/engines/build",
    )


def _serve(seed: int, folder: Path) -> Iterator[Result]:
    with served() as server:
        outcome = serve_tabs.drop_tabs(server, TABS, seed)
    lost = [f"{outcome.lost} processes still run"] if outcome.lost else []
    yield Result("browser tabs dropped", outcome.tried, outcome.survived, lost)


CAMPAIGNS: dict[str, Callable[[int, Path], Iterator[Result]]] = {
    "kills": _kills,
    "builds": _builds,
    "checkpoints": _checkpoints,
    "monkey": _monkeys,
    "garbage": _garbage,
    "disks": _disks,
    "serve": _serve,
}


if __name__ == "__main__":
    sys.exit(main())
