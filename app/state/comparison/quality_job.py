"""Measure engines in the background, one at a time; a job continues while other screens are shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engines.build.prepare import StartWorker
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.errors import error_text
from engines.worker.error_mapping import to_error_event

if TYPE_CHECKING:  # imported when the first job starts: the app's first frame does not wait for it
    from app.state.comparison.study import Study
    from app.state.comparison.text_set import TextSet
    from engines.compare.comparison import Comparison
    from engines.compare.run import ComparisonRun, Progress

ENOUGH = 0.05
"""Part of the tokens after which the time left is estimated."""


@dataclass(frozen=True)
class Folders:
    """Where a job keeps its files."""

    comparisons: Path
    log: Path


class QualityJob:
    """At most one comparison at a time. What is finished is kept on disk, so that the next one continues."""

    def __init__(self, start_worker: StartWorker) -> None:
        self._start_worker = start_worker
        self._task: asyncio.Task[None] | None = None
        self._started = 0.0
        self.progress: Progress | None = None
        """Where it is, or was when it ended."""
        self.error = ""
        """Why the last one could not continue."""
        self.was_cancelled = False
        self.text_set: TextSet | None = None
        """What was chosen to compare over, in this app; None for the texts that ship."""
        self.rows = 0
        """How many times something was finished and kept, in this app. Rows on disk have changed with it."""

    @property
    def is_running(self) -> bool:
        """Whether engines are being measured."""
        return self._task is not None and not self._task.done()

    @property
    def is_cancelling(self) -> bool:
        """Whether the engine in progress is being closed."""
        return self.is_running and bool(self._task and self._task.cancelling())

    @property
    def engine(self) -> str:
        """Title of the engine that is being measured; empty while none is."""
        return self.progress.engine if self.is_running and self.progress else ""

    @property
    def share(self) -> float:
        """Part of the tokens that are scored."""
        found = self.progress
        return found.done / found.total if found and found.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """About how long it still takes; None until enough is measured to tell."""
        if not self.is_running or self.share < ENOUGH:
            return None
        elapsed = time.monotonic() - self._started
        return elapsed * (1 - self.share) / self.share

    def start(
        self, study: Study, engines: Sequence[EngineSpec], store: EngineStore, folders: Folders
    ) -> None:
        """Measure these engines, and the reference if it is not; nothing happens while others are."""
        from engines.compare.cache import ComparisonCache
        from engines.compare.choices import shipped_choices
        from engines.compare.run import ComparisonRun

        if self.is_running:
            return
        self.progress, self.error, self.was_cancelled = None, "", False
        self._started = time.monotonic()

        async def keep(comparison: Comparison) -> None:
            await study.file.keep(comparison)
            self.rows += 1

        run = ComparisonRun(
            study.checkpoint,
            study.reference,
            engines,
            study.text_set.texts,
            store,
            ComparisonCache(folders.comparisons),
            self._start_worker,
            folders.log,
            self._take,
            shipped_choices(),
            keep,
        )
        self._task = asyncio.create_task(self._run(run), name="quality")

    def cancel(self) -> None:
        """End the comparison; its worker is closed, and what was finished is kept."""
        # Once only: a second cancellation would interrupt the closing of the worker.
        if self._task and self.is_running and not self._task.cancelling():
            self.was_cancelled = True
            self._task.cancel()

    async def close(self) -> None:
        """Cancel, and wait until no worker is left."""
        self.cancel()
        if self._task:
            await asyncio.wait([self._task])

    def _take(self, progress: Progress) -> None:
        self.progress = progress

    async def _run(self, run: ComparisonRun) -> None:
        try:
            await run.run()
        except Exception as failure:  # an EngineError, a full disk, or a bug that becomes one
            self.error = error_text(to_error_event(0, failure))
