"""The time of a build, from the builds that the store remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.build.history import expected_build
from engines.build.spec import EngineSpec
from engines.build.stored_engine import Manifest, StoredEngine


def built(precision: str, weight_bytes: int, seconds: float, backend: str = "openvino") -> StoredEngine:
    spec = EngineSpec("/models/one", backend, precision)
    facts: dict[str, object] = {"weight_bytes": weight_bytes}
    return StoredEngine("0", Path("/nowhere"), Manifest(spec, {}, {"model": 10}, facts, seconds))


def test_without_builds_there_is_no_time() -> None:
    assert expected_build([], "openvino", "int8", 100) is None
    assert expected_build([built("int8", 100, 5, "compiled")], "openvino", "int8", 100) is None


def test_the_nearest_build_of_the_same_precision_is_scaled_by_its_bytes() -> None:
    entries = [built("int8", 100, 5), built("int8", 1000, 20), built("int4", 1100, 90)]
    found = expected_build(entries, "openvino", "int8", 2000)
    assert found is not None
    assert found.seconds == pytest.approx(40)
    assert found.source is entries[1]
    assert found.builds == 3


def test_another_precision_is_better_than_nothing() -> None:
    found = expected_build([built("int4", 100, 5)], "openvino", "int8", 200)
    assert found is not None
    assert found.seconds == pytest.approx(10)


def test_no_build_is_faster_than_the_fastest() -> None:
    found = expected_build([built("int8", 1000, 20)], "openvino", "int8", 10)
    assert found is not None
    assert found.seconds == pytest.approx(20)
