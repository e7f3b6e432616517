"""Records, the import in a throw-away process, and the pre-flight."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engines.environments import preflight as looks
from engines.environments.environment import Environment, environments, register_all, remove, save
from engines.environments.interpreters import interpreter, register
from engines.environments.leftovers import without_record
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
    assert (known.version, known.package) == ("1.2.1", found.package)
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
    for text in ("{", "[]", '{"name": "tensorrt-llm"}', '{"name": 1, "python": 5, "managed": 0}', "[" * 9999):
        (tmp_path / "tensorrt-llm" / "environment.json").write_text(text)
        assert environments(tmp_path) == []
        assert without_record(tmp_path) == [tmp_path / "tensorrt-llm"]


def test_an_environment_of_a_backend_of_another_release_is_listed_and_removed(tmp_path: Path) -> None:
    save(tmp_path, Environment("triton", sys.executable, False, "1.0", ""))
    [found] = environments(tmp_path)
    assert found.problem == "this release has no backend 'triton' with an environment"
    register_all([found])
    assert remove(tmp_path, "triton")
    assert environments(tmp_path) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../store", "a/b"])
def test_only_folders_of_environments_are_removed(tmp_path: Path, name: str) -> None:
    save(tmp_path / "root", Environment("a", sys.executable, False))
    (tmp_path / "root" / "a" / "b").mkdir()
    (tmp_path / "store").mkdir()
    assert not remove(tmp_path / "root", name)
    assert (tmp_path / "root" / "a" / "b").exists()
    assert (tmp_path / "store").exists()


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
    hung = try_import(python, "tensorrt_llm", idle_seconds=8.0)
    assert "hangs" in hung.words
    assert "Initializing MPI" in hung.detail


def test_the_pre_flight_reports_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(looks.socket, "create_connection", unreachable)
    monkeypatch.setattr(looks, "find_python", lambda _: None)
    monkeypatch.setattr(looks, "gpus", list)
    monkeypatch.setattr(looks, "find_toolkit", lambda: None)
    found = {one.words: one for one in preflight(replace(RECIPE, disk_bytes=10**18), tmp_path)}
    bad = [one for one in found.values() if not one.good]
    assert {one.subject for one in bad} >= {"python", "gpu", "cuda", "disk", "index"}
    assert all(one.remedy for one in bad)
    assert "pypi.nvidia.com cannot be reached: Name or service not known" in found


async def test_without_an_environment_no_worker_starts(tmp_path: Path) -> None:
    register("tensorrt-llm", None)
    with pytest.raises(EngineError) as caught:
        await start_worker("tensorrt-llm", tmp_path / "log")
    assert "env create tensorrt-llm" in caught.value.hint
