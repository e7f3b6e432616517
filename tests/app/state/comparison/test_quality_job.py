"""The background measurement: rows, a failure, cancel and resume, and no worker that is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from app.state.comparison.quality_entry import Machine
from app.state.comparison.quality_job import Folders, QualityJob
from app.state.comparison.study import Study, read_study
from app.state.comparison.text_set import TextSet
from app.state.settings.settings import Settings
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare import choices
from engines.compare.text import Text
from engines.demo import CHECKPOINT
from engines.worker.process import EngineProcess
from tests.app.still import DEVICE
from tests.doubles.fork_server import start_forked

TEXTS = TextSet("file a", "a", (Text("a", "A KV cache keeps the keys and values of earlier tokens. " * 4),))


def spec(precision: str) -> EngineSpec:
    return EngineSpec(str(CHECKPOINT), "openvino", precision, context=256)


class Bench:
    """A job in a folder of its own, which knows the workers that it started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: list[EngineProcess] = []
        self.job = QualityJob(self._start)

    async def _start(self, backend: str, log: Path) -> EngineProcess:
        self.processes.append(await start_forked(backend, log))
        return self.processes[-1]

    def study(self) -> Study:
        return read_study(Settings(context=256), Machine(DEVICE, None), TEXTS, self._folder / "comparisons")

    def start(self, *precisions: str) -> None:
        folders = Folders(self._folder / "comparisons", self._folder / "log")
        engines = [spec(one) for one in precisions]
        self.job.start(self.study(), engines, EngineStore(self._folder / "store"), folders)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def measured(self) -> list[str]:
        comparison = self.study().comparison
        return [row.title for row in comparison.rows if row.quality] if comparison else []

    @property
    def left(self) -> list[EngineProcess]:
        """Workers that still run."""
        return [one for one in self.processes if not one.ended.is_set()]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """With four questions."""
    few = choices.shipped_choices()[:4]
    monkeypatch.setattr(choices, "shipped_choices", lambda: few)
    return Bench(tmp_path)


async def test_cancelled_and_resumed_it_has_every_row_and_leaves_no_worker(bench: Bench) -> None:
    """Cancelled while the last engine is opened; one that cannot be built does not end the others."""
    bench.start("int8", "fp8", "int4")
    assert bench.job.is_running
    await bench.until(lambda: bench.job.engine == "OpenVINO int4")
    assert 0 < bench.job.share < 1
    bench.job.cancel()
    assert bench.job.is_cancelling
    await bench.job.close()
    assert (bench.job.is_running, bench.job.was_cancelled, bench.job.engine) == (False, True, "")
    assert bench.left == []
    assert bench.measured() == ["OpenVINO int8"]
    bench.start("int4")
    await bench.until(lambda: not bench.job.is_running)
    assert bench.job.error == ""
    assert bench.measured() == ["OpenVINO int8", "OpenVINO int4"]
    assert bench.left == []
    assert bench.job.rows == 5  # the reference twice, int8, fp8 and int4


async def test_what_ends_the_whole_comparison_is_an_error(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "comparisons").write_text("a file in the place of the folder")
    bench.start("int8")
    await bench.until(lambda: not bench.job.is_running)
    assert bench.job.error
    assert bench.left == []


async def test_a_second_start_changes_nothing_while_the_first_runs(bench: Bench) -> None:
    bench.start("int8")
    bench.start("int4")
    await bench.job.close()
    assert bench.left == []
    assert bench.job.progress is None or "int4" not in bench.job.progress.engine
