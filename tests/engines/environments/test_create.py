"""An environment is created next to the one in use, which works until the new one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engines.environments.create import create
from engines.environments.environment import Environment, environments, save
from engines.environments.leftovers import creation_lock, leftovers, sweep, without_record
from engines.environments.recipe import RECIPES, EnvironmentRecipe
from engines.errors import EngineError
from tests.engines.double_environment import make_environment

NAME = "tensorrt-llm"
RECIPE = RECIPES[NAME]
DOUBLE = "from pathlib import Path; from tests.engines.double_environment import make_environment as make"


def local_steps(recipe: EnvironmentRecipe, python: str, folder: Path) -> list[tuple[str, list[str]]]:
    """A real virtual environment with the double in it, and no network."""
    code = f"{DOUBLE}; make(Path({str(folder)!r}), '1_2')"
    return [("create", [sys.executable, "-c", code])]


def failing_steps(recipe: EnvironmentRecipe, python: str, folder: Path) -> list[tuple[str, list[str]]]:
    """The environment, and then a step that fails."""
    return [*local_steps(recipe, python, folder), ("install", ["/bin/sh", "-c", "echo no wheel; exit 3"])]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps import the tests; `_started` removes PYTHONPATH."""
    monkeypatch.chdir(Path(__file__).parents[3])


def made(root: Path, steps: object = local_steps) -> Environment:
    """Create it."""
    return create(NAME, RECIPE, sys.executable, root, root.parent / "log", lambda *_: None, steps)  # type: ignore[arg-type]


def works(environment: Environment) -> bool:
    """Whether the library can be imported with it."""
    return subprocess.run([environment.python, "-c", "import tensorrt_llm"], cwd="/").returncode == 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of environments."""
    return tmp_path / "environments"


def test_a_creation_that_fails_or_is_cancelled_leaves_nothing(root: Path) -> None:
    reported: list[tuple[str, str]] = []
    with pytest.raises(EngineError, match="failed") as caught:
        create(NAME, RECIPE, "/bin/false", root, root.parent / "log", lambda *line: reported.append(line))
    assert str(root.parent / "log") in caught.value.hint
    assert reported[0] == ("create", "")
    assert not list(root.iterdir())

    def cancel(step: str, line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create(NAME, RECIPE, sys.executable, root, root.parent / "log", cancel)
    assert not list(root.iterdir())


@pytest.mark.timeout(200)
def test_a_sampler_that_fails_is_reported_and_the_environment_is_made(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks is not part of the environment."""
    monkeypatch.setattr("engines.environments.trial.gpus", lambda: [object()])
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "no-nvcc")
    reported: list[tuple[str, str]] = []
    log = root.parent / "log"
    made = create(NAME, RECIPE, sys.executable, root, log, lambda *line: reported.append(line), local_steps)
    assert environments(root) == [made]
    (words,) = [line for step, line in reported if step == "sample" and line]
    assert "It can be imported, but sampling a token failed: " in words
    assert "cuda-toolkit-13-1" in words


@pytest.mark.timeout(200)
def test_the_old_one_works_until_the_new_one_replaces_it(root: Path) -> None:
    first = made(root)
    assert works(first)
    with pytest.raises(EngineError, match="no wheel"):
        made(root, failing_steps)
    assert environments(root) == [first]
    assert works(first)
    second = made(root)
    assert environments(root) == [second]
    assert second.python != first.python
    assert works(second)
    assert not Path(first.python).exists()
    assert len(list((root / NAME).glob("venv-*"))) == 1


def test_scripts_of_the_environment_run_after_the_switch(root: Path) -> None:
    """They hold the absolute path of the folder in which they were installed."""

    def with_a_script(recipe: EnvironmentRecipe, python: str, folder: Path) -> list[tuple[str, list[str]]]:
        script = f"#!{folder}/bin/python\nimport tensorrt_llm; print(tensorrt_llm.__file__)"
        write = f"printf %b {script!r} > {folder}/bin/trtllm; chmod +x {folder}/bin/trtllm"
        return [*local_steps(recipe, python, folder), ("script", ["/bin/sh", "-c", write])]

    for _ in range(2):
        environment = made(root, with_a_script)
        script = Path(environment.python).with_name("trtllm")
        printed = subprocess.run([script], capture_output=True, text=True, check=True, cwd="/").stdout
        assert environment.package in printed


def test_an_environment_of_an_older_release_is_replaced(root: Path) -> None:
    """Its files are next to the record."""
    python = make_environment(root / NAME, "main")
    package = next((root / NAME).glob("lib/python*/site-packages/tensorrt_llm"))
    old = Environment(NAME, str(python), True, "1.4.0rc1", str(package))
    save(root, old)
    assert sweep(root) == 0
    with pytest.raises(EngineError):
        made(root, failing_steps)
    assert environments(root) == [old]
    assert works(old)
    new = made(root)
    assert works(new)
    assert {path.name for path in (root / NAME).iterdir()} == {
        "environment.json",
        "create.lock",
        Path(new.python).parents[1].name,
    }


def test_a_killed_creation_is_cleaned_up_and_the_old_one_works(root: Path) -> None:
    old = made(root)
    code = (
        "import sys; from pathlib import Path; from engines.environments.create import create; "
        "from engines.environments.recipe import RECIPES; "
        f"create({NAME!r}, RECIPES[{NAME!r}], sys.executable, Path({str(root)!r}), "
        f"Path({str(root.parent / 'log')!r}), lambda *_: None, "
        "lambda r, p, folder: [('wait', ['/bin/sh', '-c', f'echo $$ > {folder}/half; exec sleep 60'])])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until = time.monotonic() + 60
    while not (halves := list((root / NAME).glob("venv-*/half"))):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert sweep(root) == 0, "it is running"
    with pytest.raises(EngineError, match="Another `env create`"):
        made(root)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    os.kill(int(halves[0].read_text()), signal.SIGKILL)  # pip would end at its next line of output
    assert environments(root) == [old]
    assert [path.name for path in leftovers(root / NAME)] == [halves[0].parent.name]
    assert sweep(root) > 0
    assert leftovers(root / NAME) == []
    assert works(old)


def test_one_that_the_user_does_not_use_any_more_is_kept_for_a_return(root: Path) -> None:
    managed = made(root)
    save(root, Environment(NAME, sys.executable, False, "1.0", str(root)))
    sweep(root)
    assert works(managed)
    save(root, managed)
    assert environments(root) == [managed]


def test_a_folder_without_a_readable_record_is_listed_unless_it_is_being_created(root: Path) -> None:
    with creation_lock(root / NAME):
        (root / NAME / "venv-half").mkdir()
        assert without_record(root) == []
    assert without_record(root) == [root / NAME]
    (root / NAME / "environment.json").write_text(json.dumps({"format": 9}))
    assert without_record(root) == [root / NAME]
    sweep(root)
    assert (root / NAME / "environment.json").exists()
