"""The process that reads an engine's folder: its limits, and what it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.inspect import process
from engines.inspect.csv_table import FIELDS, csv_table
from engines.inspect.inspection import MAX_ROWS, Row, count_kinds, largest_first, matching
from engines.inspect.process import inspect_folder
from tests.engines.inspect.layers import write_layers


async def test_every_list_comes_back(tmp_path: Path) -> None:
    found = await inspect_folder(write_layers(tmp_path))
    assert [len(listing.rows) for listing in found] == [0, 5, 6]
    assert [listing.exists for listing in found] == [False, True, True]
    lines = csv_table(found).splitlines()
    assert lines[0] == ",".join(FIELDS)
    assert len(lines) == 12
    assert lines[2] == "network,layers.0/attention/query,MATRIX_MULTIPLY,fp16,,,1;?;256,,"


async def test_a_folder_that_is_gone_has_no_lists(tmp_path: Path) -> None:
    found = await inspect_folder(tmp_path / "gone")
    assert not any(listing.exists for listing in found)


async def test_longer_lists_are_cut_and_counted(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text(json.dumps([f"layer {place}" for place in range(MAX_ROWS + 5)]))
    found = await inspect_folder(tmp_path)
    assert len(found.network.rows) == MAX_ROWS
    assert found.network.omitted == 5


async def test_a_file_in_the_working_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert (await inspect_folder(tmp_path)).graph.exists is False


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import os; os.kill(os.getpid(), 9)", "ended with status -9"),
        ("print('{')", "printed something else"),
        ("print('[' * 100000)", "printed something else"),
        ("while True: print('x' * 1000000)", "larger than"),
        ("import time; time.sleep(600)", "took longer than"),
    ],
)
async def test_a_process_that_fails_gives_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    """A library that crashes, prints, floods or hangs; the process is gone afterwards."""
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{script}"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.setattr(process, "SECONDS", 2.0 if "sleep" in script else 60.0)
    with pytest.raises(EngineError, match=message) as error:
        await inspect_folder(tmp_path)
    assert error.value.code == "inspect-failed"


ROWS = (
    Row("layers.0/query", "MatMul", "fp32", "int8", 100),
    Row("layers.0/add", "Add", "fp32"),
    Row("head", "MatMul", "fp32", "fp16", 900),
    Row("layers.1/query", "MatMul", "fp32", "int8", 100, parts=("scale", "product")),
)


def test_kinds_are_counted_by_precision() -> None:
    found = [(one.kind, one.precision, one.count, one.weight_bytes) for one in count_kinds(ROWS)]
    assert found == [("MatMul", "fp16", 1, 900), ("MatMul", "int8", 2, 200)]
    without = [Row("a", "Add", "fp16"), Row("b", "Mul", "fp16"), Row("c", "Mul", "fp16"), Row("d")]
    assert [(one.kind, one.precision, one.count) for one in count_kinds(without)] == [
        ("Mul", "fp16", 2),
        ("Add", "fp16", 1),
        ("", "", 1),
    ]


@pytest.mark.parametrize(
    ("search", "names"),
    [("", 4), ("MATMUL", 3), ("matmul layers.0", 1), ("int8", 2), ("product", 1), ("nothing", 0)],
)
def test_the_search_finds_all_words_in_names_kinds_and_fused_names(search: str, names: int) -> None:
    assert len(matching(ROWS, search)) == names


def test_the_largest_come_first() -> None:
    assert [row.name for row in largest_first(ROWS)][:2] == ["head", "layers.0/query"]
