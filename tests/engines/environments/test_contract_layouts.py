"""The contract holds wherever a release has its classes, and reports what changes without an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.environments.contract import broken, check
from engines.environments.sampler_support import setting_reads
from tests.engines.environments.skeletons import RELEASES, make_skeleton

API = "llmapi/__init__.py"
IGNORED = [
    f"_torch/pyexecutor/sampler.py:1: sampling_config.{name} (read, optional) is missing: "
    "this release ignores the setting"
    for name in ("seed", "min_p", "repetition_penalty")
]
NO_TELEMETRY = "usage/__init__.py:1: telemetry (file, optional) is missing: this release sends none"


def not_present(package: Path) -> list[str]:
    """Words of every row that is not there."""
    setting_reads.cache_clear()
    return [one.words for one in check(package) if one.state != "present"]


def edit(file: Path, old: str, new: str) -> int:
    """Replace a text that occurs once, and return the line where it was."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


@pytest.mark.parametrize("release", RELEASES)
def test_no_layout_raises_a_false_alarm(tmp_path: Path, release: str) -> None:
    package = make_skeleton(tmp_path, release)
    assert not_present(package) == ([*IGNORED, NO_TELEMETRY] if release == "1.2.1" else [])
    assert broken(check(package)) == []


@pytest.mark.parametrize(
    ("release", "home"),
    [
        ("1.2.1", "sampling_params.py"),
        ("1.4.0rc1", "sampling_params.py"),
        ("newest", "executor/params/sampling.py"),
    ],
)
def test_a_field_that_is_gone_is_pointed_at_in_the_file_that_defines_its_class(
    tmp_path: Path, release: str, home: str
) -> None:
    package = make_skeleton(tmp_path, release)
    edit(package / home, "    top_p: object = None\n", "")
    edit(package / home, "class SamplingParams", "\n\nclass SamplingParams")
    words = [one.words for one in broken(check(package))]
    assert words == [f"{home}:3: SamplingParams.top_p (field) is missing"]


@pytest.mark.parametrize(
    "line",
    [
        "from ..executor.params.sampling import SamplingParams",
        "from tensorrt_llm.executor.params.sampling import SamplingParams",
        "from tensorrt_llm.executor.params.sampling import Params as SamplingParams",
        "from ..sampling_params import *",
        "from tensorrt_llm import SamplingParams",
        "if True:\n    from ..sampling_params import SamplingParams",
        "from ..executor.params.sampling import Params\nSamplingParams = Params",
    ],
)
def test_every_way_of_forwarding_is_followed(tmp_path: Path, line: str) -> None:
    package = make_skeleton(tmp_path, "newest")
    edit(package / API, "from ..executor.params.sampling import SamplingParams", line)
    (package / "__init__.py").write_text("from .sampling_params import SamplingParams\n")
    if "Params as" in line or "import Params" in line:
        edit(package / "executor" / "params" / "sampling.py", "class SamplingParams", "class Params")
    assert not_present(package) == []


@pytest.mark.parametrize(
    "line",
    [
        "from . import SamplingParams",  # itself
        "from ..sampling_params import SamplingParams",  # which imports it back
        "from .....outside import SamplingParams",
        "from another_package.sampling import SamplingParams",
        "from ..not_there import SamplingParams",
    ],
)
def test_one_that_leads_nowhere_is_missing_and_ends(tmp_path: Path, line: str) -> None:
    package = make_skeleton(tmp_path, "newest")
    edit(package / API, "from ..executor.params.sampling import SamplingParams", line)
    (package / "sampling_params.py").write_text("from .llmapi import SamplingParams\n")
    missing = not_present(package)
    assert len(missing) == 13
    assert all(words.startswith(f"{API}:1: SamplingParams.") for words in missing)


def test_bases_in_other_files_and_in_a_circle_are_read(tmp_path: Path) -> None:
    package = make_skeleton(tmp_path, "newest")
    file = package / "executor" / "params" / "sampling.py"
    edit(file, "class SamplingParams()", "class Fields(Fields)")
    (package / "executor" / "params" / "fields.py").write_text(file.read_text())
    file.write_text("from .fields import Fields\n\n\nclass SamplingParams(Fields):\n    pass\n")
    assert not_present(package) == []


def test_a_setting_that_the_sampler_no_longer_reads_is_told_and_breaks_nothing(tmp_path: Path) -> None:
    package = make_skeleton(tmp_path, "newest")
    edit(package / "_torch/pyexecutor/sampler/penalties.py", ".repetition_penalty", ".presence_penalty")
    assert not_present(package) == [
        "_torch/pyexecutor/sampler/__init__.py:1: sampling_config.repetition_penalty (read, optional) "
        "is missing: this release ignores the setting"
    ]
    assert broken(check(package)) == []


def test_an_error_text_that_changed_is_told_and_breaks_nothing(tmp_path: Path) -> None:
    package = make_skeleton(tmp_path, "newest")
    edit(package / "executor" / "proxy.py", "Executor worker returned error", "The worker failed")
    assert not_present(package) == [
        "executor/proxy.py:1: Executor worker returned error (text, optional) is missing: "
        "failures of its process read otherwise"
    ]
    assert broken(check(package)) == []
