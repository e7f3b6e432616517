"""Comparisons with real engines on a small checkpoint: rows, failures, and what is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.cache import ComparisonCache
from engines.compare.choices import Choice, shipped_choices
from engines.compare.comparison import Comparison, Row
from engines.compare.run import ComparisonRun, Progress
from engines.compare.text import Text, file_text, shipped_texts
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import start_forked
from tests.engines.conftest import Checkpoint

TEXTS = (
    Text("prose", "A KV cache keeps the keys and values of earlier tokens. " * 6),
    Text("chat", messages=({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"})),
)


class Runs:
    """Comparisons with one cache; counts what is scored."""

    def __init__(self, checkpoint: Path, store: EngineStore, folder: Path) -> None:
        self._checkpoint = checkpoint
        self._store = store
        self._folder = folder
        self.seen: list[Progress] = []
        self.kept: list[Comparison] = []

    def run(
        self,
        *precisions: str,
        texts: tuple[Text, ...] = TEXTS,
        kv: str = "auto",
        choices: tuple[Choice, ...] = (),
    ) -> ComparisonRun:
        """Return a comparison of OpenVINO's precisions with its fp32, whose KV cache is stored as `kv`."""

        async def keep(comparison: Comparison) -> None:
            self.kept.append(comparison)

        async def start(backend: str, log: Path) -> EngineProcess:
            return await start_forked(backend, log)

        return ComparisonRun(
            "tiny",
            replace(self._spec("fp32"), kv_precision=kv),
            [self._spec(one) for one in precisions],
            texts,
            self._store,
            ComparisonCache(self._folder / "cache"),
            start,
            self._folder / "log",
            self.seen.append,
            choices,
            keep,
        )

    def _spec(self, precision: str) -> EngineSpec:
        return EngineSpec(str(self._checkpoint), "openvino", precision, context=256)

    def scored(self) -> list[str]:
        """Return the engines that were loaded for scoring since the last call."""
        found = [one.engine for one in self.seen if one.step == "timing"]
        self.seen.clear()
        return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    """The engines of all comparisons, each built once: what is kept of rows does not depend on it."""
    return EngineStore(tmp_path_factory.mktemp("store"))


@pytest.fixture
def runs(checkpoint: Checkpoint, store: EngineStore, tmp_path: Path) -> Runs:
    """Comparisons with a cache of their own, of a checkpoint in bf16."""
    return Runs(checkpoint(dtype=torch.bfloat16), store, tmp_path)


def by_title(comparison: Comparison) -> dict[str, Row]:
    return {row.title: row for row in comparison.rows}


async def test_rows_failures_and_what_is_not_computed_again(runs: Runs) -> None:
    """int8 is closer to fp32 than int4; a precision that cannot be built is a row that says why."""
    comparison = await runs.run("int8", "fp8", "int4").run()
    rows = by_title(comparison)
    int8, int4 = rows["OpenVINO int8"].quality, rows["OpenVINO int4"].quality
    assert int8
    assert int4
    assert 0 < int8.mean_kld < int4.mean_kld
    assert not int8.at_least
    assert "FP8" in rows["OpenVINO fp8"].error
    assert rows["OpenVINO int4"].weight_bytes < rows["OpenVINO int8"].weight_bytes
    assert rows["OpenVINO int4"].passages[0].positions[0].reference
    assert runs.seen[-1].done <= runs.seen[-1].total
    assert runs.scored() == ["OpenVINO fp32", "OpenVINO int8", "OpenVINO int4"]
    again = await runs.run("int8", "int4", "bf16").run()
    assert runs.scored() == ["OpenVINO bf16"]
    assert by_title(again)["OpenVINO int8"] == rows["OpenVINO int8"]


async def test_a_comparison_that_is_interrupted_continues(runs: Runs) -> None:
    """Cancelled while the second engine is opened: the first row is kept, and the worker is ended."""
    running = asyncio.create_task(runs.run("int8", "int4").run())
    while not any(one.engine == "OpenVINO int4" for one in runs.seen):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    runs.seen.clear()
    comparison = await runs.run("int8", "int4").run()
    assert runs.scored() == ["OpenVINO int4"]
    assert all(row.quality for row in comparison.rows)


async def test_questions_flips_and_the_noise_floor(runs: Runs) -> None:
    """What is finished is handed over after the reference and after each row; questions are part of a row."""
    choices = shipped_choices()[:6]
    comparison = await runs.run("bf16", "int4", choices=choices).run()
    reference, (bf16, int4) = comparison.reference.choices, comparison.rows
    assert reference
    assert bf16.choices
    assert int4.choices
    assert len(reference.chosen) == len(int4.choices.chosen) == 6
    assert int4.choices.flips == sum(map(int.__ne__, reference.chosen, int4.choices.chosen))
    assert bf16.choices.flips <= int4.choices.flips
    assert [len(one.rows) for one in runs.kept] == [0, 1, 2]
    assert bf16.quality
    assert comparison.dtype == "bf16"
    assert comparison.noise_floor == bf16.quality.mean_kld
    assert [comparison.is_noise(row) for row in comparison.rows] == [True, False]
    last = runs.seen[-1]
    assert last.done == last.total
    assert "version of openvino" in int4.inputs
    runs.scored()
    again = await runs.run("bf16", "int4", choices=choices).run()
    assert (again.reference, again.rows) == (comparison.reference, comparison.rows)
    assert runs.scored() == []


async def test_another_kv_precision_of_the_reference_is_another_reference(runs: Runs) -> None:
    """Its rows are not those of the first: the fingerprint of an engine does not have the KV precision."""
    await runs.run("int8").run()
    runs.scored()
    second = await runs.run("int8", kv="u8").run()
    assert runs.scored() == ["OpenVINO fp32, KV u8", "OpenVINO int8"]
    assert set(second.versions) >= {"openvino", "openvino-genai"}


async def test_other_texts_are_scored_again(runs: Runs) -> None:
    await runs.run("int8").run()
    runs.scored()
    comparison = await runs.run("int8", texts=TEXTS[:1]).run()
    assert runs.scored() == ["OpenVINO int8"]
    assert [text.name for text in comparison.texts] == ["prose"]


def test_the_shipped_texts_and_a_file(tmp_path: Path) -> None:
    assert [text.name for text in shipped_texts()] == ["prose", "code", "chat"]
    assert [message["role"] for message in shipped_texts()[2].messages][:2] == ["user", "assistant"]
    (tmp_path / "own.txt").write_text("Own text.", "utf-8")
    assert file_text(tmp_path / "own.txt") == Text("own.txt", "Own text.")
