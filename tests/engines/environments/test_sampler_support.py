"""Which sampling settings a release's PyTorch sampler reads, found in its source."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engines.environments.sampler_support import SETTINGS, SettingRead, ignored_settings, setting_reads
from tests.engines.double_environment import DOUBLE

ALL = ("seed", "min_p", "repetition_penalty")
NAMES = ["temperature", "top_p", "top_k", "min_p", "random_seed", "repetition_penalty"]
SAMPLER = "_torch/pyexecutor/sampler"
OLD = """
def settings(request):
    sampling_config = request.sampling_config
    return sampling_config.temperature, sampling_config.top_p, sampling_config.top_k
"""
COMMON = """
def settings(request):
    sampling_config = request.sampling_config
    return sampling_config.temperature, sampling_config.min_p


def seed(request):
    return request.sampling_config.random_seed
"""
PENALTIES = """
def penalty(request):
    settings = request.sampling_config
    return settings.repetition_penalty
"""


def sampler(package: Path, text: str) -> Path:
    """Write a package whose sampler is one file."""
    file = package / f"{SAMPLER}.py"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return package


def test_a_sampler_in_one_file_that_takes_three_settings_ignores_the_others(tmp_path: Path) -> None:
    assert ignored_settings(sampler(tmp_path, OLD)) == ALL


def test_a_sampler_in_a_folder_that_reads_all_ignores_none(tmp_path: Path) -> None:
    folder = tmp_path / SAMPLER
    (folder / "ops").mkdir(parents=True)
    (folder / "sampler_common.py").write_text(COMMON)
    (folder / "ops" / "penalties.py").write_text(PENALTIES)
    assert ignored_settings(tmp_path) == ()
    assert setting_reads(tmp_path) == {
        "seed": SettingRead(f"{SAMPLER}/sampler_common.py", 8),
        "min_p": SettingRead(f"{SAMPLER}/sampler_common.py", 4),
        "repetition_penalty": SettingRead(f"{SAMPLER}/ops/penalties.py", 4),
    }


@pytest.mark.parametrize(
    ("text", "ignored"),
    [
        ("sampling_config.min_p = 0.1\nother.random_seed", ALL),  # written, and read from something else
        ("# sampling_config.min_p\n'sampling_config.random_seed'", ALL),
        ("request.sampling_config.min_p", ("seed", "repetition_penalty")),
        ("request.sampling_config.seed", ("min_p", "repetition_penalty")),  # newest: its class is Python
        ("getattr(request.sampling_config, 'random_seed', None)", ("min_p", "repetition_penalty")),
    ],
)
def test_only_reads_count(tmp_path: Path, text: str, ignored: tuple[str, ...]) -> None:
    assert ignored_settings(sampler(tmp_path, text)) == ignored


def test_nothing_is_claimed_without_a_readable_sampler(tmp_path: Path) -> None:
    assert ignored_settings(tmp_path / "no-package") == ()
    assert ignored_settings(sampler(tmp_path, "def sample(:\n")) == ()
    (tmp_path / "_torch" / "pyexecutor" / "sampler_more.py").write_text(OLD)
    setting_reads.cache_clear()
    assert ignored_settings(tmp_path) == ALL


def test_a_package_is_read_once(tmp_path: Path) -> None:
    package = sampler(tmp_path, OLD)
    assert ignored_settings(package) == ALL
    (package / f"{SAMPLER}.py").unlink()
    assert ignored_settings(package) == ALL


@pytest.mark.parametrize(("generation", "ignored"), [("1_2", ALL), ("main", ())])
def test_the_generations_of_the_double_differ(
    tmp_path: Path, generation: str, ignored: tuple[str, ...]
) -> None:
    """And what its sampler takes is what its source says."""
    for part in ("both", f"generation_{generation}"):
        shutil.copytree(DOUBLE / part, tmp_path, dirs_exist_ok=True)
    assert ignored_settings(tmp_path / "tensorrt_llm") == ignored
    code = (
        "import json, types; from tensorrt_llm._torch.pyexecutor.sampler import sampling_values as values\n"
        f"print(json.dumps(sorted(values(types.SimpleNamespace(**dict.fromkeys({NAMES}, 1))))))"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)
    taken = json.loads(printed.splitlines()[-1])
    theirs = {name for ours in ignored for name in SETTINGS[ours]}
    assert taken == sorted(set(NAMES) - theirs)
