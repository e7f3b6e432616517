"""Exceptions of libraries for a wrong checkpoint or a full disk become messages for the user."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from engines.errors import EngineError, first_line
from engines.worker.error_mapping import to_error_event
from engines.worker.untrusted import explained


def code(error: BaseException, directory: Path | None = None) -> str:
    with pytest.raises(BaseException) as caught, explained("The engine cannot be loaded", directory):  # noqa: PT011
        raise error
    return to_error_event(1, caught.value).code


class Panic(BaseException):
    """As pyo3's PanicException, which is no Exception."""


def test_exceptions_of_libraries_become_engine_errors() -> None:
    assert code(RuntimeError("size mismatch")) == "load-failed"
    assert code(Panic("Onig: regex")) == "load-failed"
    assert code(MemoryError()) == "out-of-memory"
    assert code(EngineError("broken-weights", "x")) == "broken-weights"
    assert code(NameError("a bug")) == "internal"


def test_with_a_full_disk_that_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that cannot write its output says anything."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    assert code(RuntimeError("C++ compile error"), tmp_path) == "disk-full"
    assert code(EngineError("broken-weights", "not the disk's fault"), tmp_path) == "broken-weights"
    monkeypatch.undo()
    assert code(RuntimeError("C++ compile error"), tmp_path) == "load-failed"


def test_the_first_line_says_what_it_is_about() -> None:
    assert first_line(KeyError("nosuch")) == "KeyError 'nosuch'"
    assert first_line(ValueError("Field 'x':\n  is not a number\nmore")) == "Field 'x': is not a number"
    assert first_line(ValueError()) == "ValueError"
