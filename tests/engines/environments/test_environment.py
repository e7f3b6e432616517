"""Records, the import in a throw-away process, and a creation that fails, which leaves nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engines.environments import preflight as looks
from engines.environments.create import create
from engines.environments.environment import Environment, environments, register_all, remove, save
from engines.environments.interpreters import interpreter, register
from engines.environments.preflight import preflight
from engines.environments.recipe import RECIPES
from engines.environments.start import start_worker
from engines.environments.trial import locate, try_import
from engines.errors import EngineError
from tests.engines.double_environment import make_environment

RECIPE = RECIPES["tensorrt-llm"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the double."""
    return str(make_environment(tmp_path_factory.mktemp("environment") / "made", "1_2"))


def test_found_recorded_registered_and_removed(python: str, tmp_path: Path) -> None:
    found = locate("tensorrt-llm", python, "tensorrt_llm", managed=False)
    assert found is not None
    assert (found.version, found.builds_engines, found.problem) == ("1.2.1", True, "")
    save(tmp_path, found)
    assert environments(tmp_path) == [found]
    register_all(environments(tmp_path))
    known = interpreter("tensorrt-llm")
    assert known is not None
    assert (known.python, known.builds_engines) == (python, True)
    assert remove(tmp_path, "tensorrt-llm")
    assert not remove(tmp_path, "tensorrt-llm")
    assert Path(python).is_file()  # the user's own
    register_all(environments(tmp_path))
    assert interpreter("tensorrt-llm") is None


def test_what_is_gone_or_unreadable_is_not_used(tmp_path: Path) -> None:
    save(tmp_path, Environment("tensorrt-llm", str(tmp_path / "gone"), False, "1.2.1", str(tmp_path)))
    assert "is gone" in environments(tmp_path)[0].problem
    register_all(environments(tmp_path))
    assert interpreter("tensorrt-llm") is None
    assert "that has tensorrt_llm" in Environment("tensorrt-llm", sys.executable, False).problem
    (tmp_path / "tensorrt-llm" / "environment.json").write_text("{")
    assert environments(tmp_path) == []


def test_an_interpreter_without_the_library_is_none() -> None:
    assert locate("tensorrt-llm", sys.executable, "no_such_library", managed=False) is None
    assert locate("tensorrt-llm", "/no/such/python", "tensorrt_llm", managed=False) is None


def test_an_import_that_works_fails_or_hangs(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert try_import(python, "tensorrt_llm").good
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "libmpi")
    failed = try_import(python, "tensorrt_llm")
    assert not failed.good
    assert "libmpi.so.40" in failed.words
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "hang-at-import")
    hung = try_import(python, "tensorrt_llm", seconds=8.0)
    assert "hangs" in hung.words
    assert "Initializing MPI" in hung.detail


def test_a_creation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    recipe = replace(RECIPE, package="tensorrt_llm", constraints=("no-such-package-of-anybody==0",))
    with pytest.raises(EngineError, match="failed") as caught:
        create(
            "tensorrt-llm", recipe, "/bin/false", tmp_path, tmp_path / "log.txt", lambda *a: said.append(a)
        )
    assert str(tmp_path / "log.txt") in caught.value.hint
    assert not (tmp_path / "tensorrt-llm").exists()
    assert said[0] == ("create", "")


def test_a_creation_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    def cancel(step: str, line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create("tensorrt-llm", RECIPE, sys.executable, tmp_path, tmp_path / "log.txt", cancel)
    assert not (tmp_path / "tensorrt-llm").exists()


def test_the_pre_flight_tells_everything_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(looks.socket, "create_connection", unreachable)
    monkeypatch.setattr(looks, "find_python", lambda _: None)
    monkeypatch.setattr(looks, "gpus", list)
    found = {one.words: one for one in preflight(replace(RECIPE, disk_bytes=10**18), tmp_path)}
    bad = [one for one in found.values() if not one.good]
    assert {one.subject for one in bad} >= {"python", "gpu", "disk", "index"}
    assert all(one.remedy for one in bad)
    assert "pypi.nvidia.com cannot be reached: Name or service not known" in found


async def test_without_an_environment_no_worker_starts(tmp_path: Path) -> None:
    register("tensorrt-llm", None)
    with pytest.raises(EngineError) as caught:
        await start_worker("tensorrt-llm", tmp_path / "log")
    assert "env create tensorrt-llm" in caught.value.hint
