"""Advice for packages that were installed without compiled bytecode."""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

from engines.environments.bytecode import bytecode_advice


def test_a_package_without_bytecode_is_named_with_the_command_that_compiles_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "somepackage"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", "utf-8")
    monkeypatch.syspath_prepend(str(package.parent))
    advice = bytecode_advice("somepackage")
    assert "somepackage has no compiled bytecode" in advice
    assert f"-m compileall -q {package.parent}" in advice

    assert compileall.compile_dir(package.parent, quiet=2)
    assert not bytecode_advice("somepackage")


def test_a_missing_package_needs_no_advice() -> None:
    assert not bytecode_advice("nopackageofthisname")
