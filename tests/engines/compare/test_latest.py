"""The latest comparison: rows are added and replaced, and those that fit no more say why."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engines.build.spec import VERSION, EngineSpec
from engines.compare.comparison import Comparison, Row
from engines.compare.latest import FORMAT, Latest, LatestFile, file_set, merged, text_digest
from engines.compare.outdated import outdated
from engines.compare.text import Text
from engines.demo import CHECKPOINT
from engines.plan.checkpoint.checkpoint import read_checkpoint
from tests.engines.compare.sample import COMPARISON, card, row

INT8, INT4, *_ = COMPARISON.rows
TEXTS = (Text("prose", "Some words."),)
SPEC = EngineSpec(str(CHECKPOINT), "pytorch", "fp32")


def with_rows(*rows: Row) -> Comparison:
    return replace(COMPARISON, rows=rows)


def test_rows_of_the_same_reference_and_texts_are_added_and_replaced() -> None:
    first = merged(None, with_rows(INT8, INT4), "t")
    again = replace(INT8, weight_bytes=7)
    second = merged(first, with_rows(again), "t")
    assert [one.weight_bytes for one in second.comparison.rows] == [INT4.weight_bytes, 7]
    assert second.older == ()


def test_what_was_measured_before_stays_with_the_reason() -> None:
    before = merged(None, with_rows(INT8, INT4), "t")
    texts = replace(with_rows(), texts=())
    assert [one.why for one in merged(before, texts, "u").older] == [
        "other tokens of the texts were compared"
    ] * 2
    inputs = {f"{VERSION}torch": "2.9"}
    old = merged(None, replace(with_rows(INT8), reference=replace(COMPARISON.reference, inputs=inputs)), "t")
    newer = replace(COMPARISON.reference, digest="f" * 20, inputs={f"{VERSION}torch": "2.10"})
    kept = merged(old, replace(with_rows(INT4), reference=newer), "t")
    assert [one.title for one in kept.comparison.rows] == [INT4.title]
    assert kept.older[0].why == "the reference changed: torch changed from 2.9 to 2.10"
    assert merged(kept, replace(with_rows(INT8), reference=newer), "t").older == ()


def test_the_noise_floor_is_that_of_all_rows() -> None:
    reference = replace(COMPARISON.reference, precision="fp32")
    exact = replace(row("OpenVINO bf16", 1, card(3e-4)), precision="bf16")
    before = merged(None, replace(with_rows(exact), reference=reference, dtype="bf16"), "t")
    after = merged(before, replace(with_rows(INT8), reference=reference, dtype="bf16"), "t")
    assert after.comparison.noise_floor == 3e-4


async def test_a_file_for_each_reference_and_set_of_texts(tmp_path: Path) -> None:
    shipped = LatestFile.of(tmp_path, SPEC, "shipped", TEXTS)
    await shipped.keep(with_rows(INT8))
    assert LatestFile.of(tmp_path, SPEC, "shipped", ()).read() == Latest(with_rows(INT8), text_digest(TEXTS))
    assert LatestFile.of(tmp_path, SPEC, file_set(tmp_path / "a"), TEXTS).read() is None
    assert LatestFile.of(tmp_path, replace(SPEC, precision="bf16"), "shipped", TEXTS).read() is None
    damage(tmp_path, "{")
    assert shipped.read() is None


async def test_a_file_of_another_release_counts_as_missing(tmp_path: Path) -> None:
    file = LatestFile.of(tmp_path, SPEC, "shipped", TEXTS)
    await file.keep(with_rows(INT8))
    text = kept(tmp_path).read_text("utf-8")
    damage(tmp_path, text.replace(f'"older":[],"format":{FORMAT}', f'"older":[],"format":{FORMAT + 1}'))
    assert file.read() is None


def kept(folder: Path) -> Path:
    """The only file below a folder."""
    (file,) = folder.rglob("*.json")
    return file


def damage(folder: Path, text: str) -> None:
    kept(folder).write_text(text, "utf-8")


def test_a_process_that_is_killed_while_it_writes_loses_that_row_only(tmp_path: Path) -> None:
    code = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.engines.compare.test_latest import INT4, INT8, LatestFile, SPEC, TEXTS, with_rows

async def main():
    file = LatestFile.of(Path(sys.argv[1]), SPEC, "shipped", TEXTS)
    await file.keep(with_rows(INT8))
    Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    await file.keep(with_rows(INT8, INT4))

asyncio.run(main())
"""
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=100)
    assert died.returncode == -signal.SIGKILL
    latest = LatestFile.of(tmp_path, SPEC, "shipped", TEXTS).read()
    assert latest
    assert latest.comparison.rows == (INT8,)


def test_a_row_says_what_changed_since_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = read_checkpoint(CHECKPOINT)
    inputs = {f"checkpoint: {name}": value for name, value in checkpoint.identity.items()}
    inputs |= {f"{VERSION}msgspec": "0.1", f"{VERSION}GPU": "sm_90"}
    old = replace(INT8, backend="openvino", inputs=inputs)
    assert outdated(replace(old, inputs={}), checkpoint) == ""
    monkeypatch.setattr(
        "engines.compare.outdated._installed", lambda *of: "0.2" if of[1] == "msgspec" else of[2]
    )
    assert outdated(old, checkpoint) == "msgspec changed from 0.1 to 0.2"
    assert outdated(old, None) == "msgspec changed from 0.1 to 0.2"
    changed = replace(checkpoint, identity=dict.fromkeys(checkpoint.identity, "other"))
    assert "the checkpoint's config.json changed" in outdated(old, changed)


def test_versions_of_another_environment_are_not_looked_up_here() -> None:
    inputs = {f"{VERSION}msgspec": "0.1", f"{VERSION}no such package": "1"}
    assert outdated(replace(INT8, backend="tensorrt-llm", inputs=inputs), None) == ""
    assert "msgspec changed from 0.1 to" in outdated(replace(INT8, backend="openvino", inputs=inputs), None)
