"""Engines that are compared on one answer: which ones, how far it has come, and what was found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from engines.build.prepare import StartWorker
from engines.build.spec import VERSION, EngineSpec
from engines.build.store import EngineStore
from engines.compare.answer_run import AnswerRun
from engines.compare.answer_text import split
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.cache import ComparisonCache
from engines.compare.comparison import (
    Alternative,
    Branch,
    ComparedAnswer,
    Comparison,
    EngineAnswer,
    Passage,
    Position,
    Row,
    ScoredTextInfo,
)
from engines.compare.machine import machine_facts
from engines.errors import EngineError, error_text
from engines.worker.error_mapping import to_error_event

MOST = 4
"""Engines that are compared with a reference."""


class AnswerComparison:
    """What the Compare screen shows. Results are published one engine at a time."""

    def __init__(
        self,
        prompts: Sequence[AskedPrompt],
        reference: EngineSpec | None,
        engines: Iterable[EngineSpec],
        store: EngineStore,
        cache: ComparisonCache,
        start_worker: StartWorker,
        log: Path,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Create it; `run` computes.

        Args:
            prompts: at least one if there is a reference.
            on_change: called after each step and each result.
        """
        self.prompts = list(prompts)
        self.place = 0
        """Index of the prompt that is shown."""
        self.reference = reference
        self.specs = list(engines)[:MOST]
        self.answer: ComparedAnswer | None = None
        self.step = ""
        """What is being done now; empty while nothing is."""
        self.error = ""
        """Why nothing can be shown."""
        self.recorded: tuple[ComparedAnswer, ...] = ()
        """The answers of a saved comparison, which is shown instead; nothing is computed for it."""
        self._store, self._cache, self._start_worker, self._log = store, cache, start_worker, log
        self._on_change = on_change
        self._runs = 0
        """Counts what was started: one that is cancelled may end after the next has begun."""

    @property
    def prompt(self) -> AskedPrompt | None:
        """The prompt that is shown."""
        return self.prompts[self.place] if self.prompts else None

    def move(self, step: int) -> bool:
        """Show the next or previous prompt; returns False where there is none."""
        if not 0 <= self.place + step < len(self.prompts):
            return False
        self.place += step
        self.answer = None
        if self.recorded:
            self._take_recorded(self.recorded[self.place])
        return True

    def show_recorded(self, comparison: Comparison) -> None:
        """Show the answers of a saved comparison, which has at least one."""
        self.recorded, self.place, self.error = comparison.answers, 0, ""
        self.prompts = [AskedPrompt(one.prompt, ()) for one in self.recorded]
        self._take_recorded(self.recorded[0])

    def ask(self, prompts: Sequence[AskedPrompt]) -> None:
        """Replace the prompts."""
        self.prompts, self.place, self.answer = list(prompts), 0, None

    def add(self, spec: EngineSpec) -> bool:
        """Add an engine; returns False if there are MOST, or it is there already."""
        if len(self.specs) >= MOST or spec in self.specs or spec == self.reference:
            return False
        self.specs.append(spec)
        return True

    def remove(self, index: int) -> None:
        """Remove an engine and what was found of it."""
        del self.specs[index]
        if self.answer:
            kept = self.answer.engines[:index] + self.answer.engines[index + 1 :]
            self.answer = replace(self.answer, engines=kept)

    def make_reference(self, index: int) -> None:
        """Exchange an engine and the reference, which then answers the prompt itself."""
        assert self.reference
        self.reference, self.specs[index] = self.specs[index], self.reference
        self.prompts = [replace(one, answer_ids=(), prompt_digest="") for one in self.prompts]
        self.answer = None

    async def take_kept(self) -> None:
        """Read what is kept on disk, unless there is an answer; starts no engine."""
        if self.reference is None or self.prompt is None or self.recorded or self.answer:
            return
        with suppress(EngineError, OSError):  # `run` meets it again, and keeps it
            self.answer = await asyncio.to_thread(self._run().kept, tuple(self.specs))

    async def run(self, *, again: bool = False) -> None:
        """Compute what is missing: the reference's answer, then each engine. Errors are kept, not raised.

        Args:
            again: compute also what is known.
        """
        if self.reference is None or self.prompt is None or self.recorded:
            return
        self.error = ""
        run, number = self._run(), self._begin()
        try:
            if self.answer is None or again:
                self.answer = None
                self.answer = await run.reference(again=again)
                self._on_change()
            for spec in self.specs[len(self.answer.engines) :]:
                found = await run.engine(spec, self.answer, again=again)
                self.answer = replace(self.answer, engines=(*self.answer.engines, found))
                self._on_change()
        except (EngineError, OSError) as error:
            self._fail(error)
        finally:
            self._end(number)

    async def branch(self, spec: EngineSpec, position: int, token: Alternative) -> Branch | None:
        """Let an engine continue from another token; returns None after an error, which is kept."""
        assert self.answer
        number = self._begin()
        try:
            found = await self._run().branch(spec, self.answer, position, token)
        except (EngineError, OSError) as error:
            self._fail(error)
            return None
        finally:
            self._end(number)
        self.answer = replace(self.answer, branches=(*self.answer.branches, found))
        self._on_change()
        return found

    def comparison(self, checkpoint: str) -> Comparison | None:
        """Return what is shown in the form in which it is saved; None before the reference has answered."""
        answer = self.answer
        if answer is None:
            return None
        return Comparison(
            checkpoint=checkpoint,
            reference=answer.reference.row,
            rows=tuple(_with_passage(answer, engine) for engine in answer.engines),
            texts=(ScoredTextInfo(answer.prompt, len(answer.answer.token_ids), answer.prompt_digest),),
            machine=machine_facts(),
            versions=_versions(answer),
            made_at=time.time(),
            answers=(answer,),
        )

    def first_split(self, index: int) -> int:
        """Return the token at which an engine leaves the answer; 0 if it does not or is not known."""
        if self.answer is None or index >= len(self.answer.engines):
            return 0
        engine = self.answer.engines[index]
        return (split(self.answer, engine) or 0) if engine.scores else 0

    def _take_recorded(self, answer: ComparedAnswer) -> None:
        self.answer, self.reference = answer, _spec(answer.reference.row)
        self.specs = [_spec(engine.row) for engine in answer.engines]

    def _run(self) -> AnswerRun:
        assert self.reference
        assert self.prompt
        return AnswerRun(
            self.prompt, self.reference, self._store, self._cache, self._start_worker, self._log, self._step
        )

    def _begin(self) -> int:
        self._runs += 1
        return self._runs

    def _end(self, number: int) -> None:
        if number == self._runs:
            self._step("", "")

    def _step(self, engine: str, step: str) -> None:
        self.step = f"{engine}: {step}" if engine else ""
        self._on_change()

    def _fail(self, error: Exception) -> None:
        self.error = error_text(to_error_event(0, error))


def _spec(row: Row) -> EngineSpec:
    """Return what a recorded row names of its engine."""
    return EngineSpec("", row.backend, row.precision, kv_precision=row.kv_precision)


def _versions(answer: ComparedAnswer) -> dict[str, str]:
    """Return the versions of the libraries that computed the rows."""
    rows = [answer.reference.row, *(engine.row for engine in answer.engines)]
    return {
        name.removeprefix(VERSION): value
        for row in rows
        for name, value in row.inputs.items()
        if name.startswith(VERSION)
    }


def _with_passage(answer: ComparedAnswer, engine: EngineAnswer) -> Row:
    if not engine.scores:
        return engine.row
    positions = tuple(
        Position(piece, score.kl, reference.alternatives, score.alternatives)
        for piece, reference, score in zip(
            answer.answer.pieces, answer.reference.scores, engine.scores, strict=True
        )
    )
    return replace(engine.row, passages=(Passage(answer.prompt, 0, positions),))
