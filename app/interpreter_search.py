"""Finds the interpreters of backends that need their own, before their workers are started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from app.state.settings.interpreters import register_known
from engines.backends.registry import BACKENDS
from engines.build.prepare import StartWorker
from engines.worker.process import EngineProcess


class InterpreterSearch:
    """Registers the interpreters of the settings and of the managed environments."""

    def __init__(
        self,
        named: Callable[[], Mapping[str, str]],
        start_worker: StartWorker,
        report: Callable[[str], None],
    ) -> None:
        """Create it.

        Args:
            named: returns the interpreters of the settings, by backend.
            start_worker: starts the worker processes.
            report: called when other interpreters than before cannot be used.
        """
        self._named, self._start_worker, self._report = named, start_worker, report
        self._problems = list[str]()

    async def run(self) -> None:
        """Start every interpreter once, in a thread, and report those that cannot be used."""
        problems = await asyncio.to_thread(register_known, self._named())
        if problems and problems != self._problems:
            self._report(f"{'; '.join(problems)}. F6 changes it.")
        self._problems = problems

    async def start_worker(self, backend: str, log: Path) -> EngineProcess:
        """Start a worker, after a search if the backend needs its own interpreter.

        Raises:
            EngineError: as `StartWorker`.
        """
        if backend in BACKENDS and BACKENDS[backend].own_environment:
            await self.run()
        return await self._start_worker(backend, log)
