"""Compare engines with a reference over a set of texts, one engine after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engines.build.prepare import StartWorker, Step
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.cache import SCORE_FORMAT, ComparisonCache, digest
from engines.compare.choices import Choice, TokenizedChoice, answered, flips, tokenized
from engines.compare.comparison import ChoiceResult, Comparison, Passage, Row, ScoredTextInfo
from engines.compare.engine import ComparedEngine, opened
from engines.compare.machine import machine_facts
from engines.compare.noise import noise_floor
from engines.compare.passages import passages, shown_ids, worst_windows
from engines.compare.rows import described, file_title, finished, title, unmeasured
from engines.compare.server import answers_questions, check_server, refuse_as_reference
from engines.compare.speed import measure_speed
from engines.compare.text import Text
from engines.compare.tokenizers import use_tokenizer
from engines.errors import EngineError, error_text
from engines.measure.quality import position_divergences
from engines.plan.checkpoint.gguf_checkpoint import is_gguf_file
from engines.worker import protocol
from engines.worker.error_mapping import to_error_event

TOP = 10
"""Most likely tokens that are kept for each position."""


@dataclass(frozen=True)
class Progress:
    """Where a comparison is."""

    engine: str
    step: str
    """Such as `scoring code`."""
    done: int
    """Tokens scored so far, of all engines."""
    total: int


async def _nothing(_: Comparison) -> None:
    """Keep nothing."""


@dataclass(frozen=True)
class _ReferenceText:
    """A text as all engines get it, and what the reference expected."""

    text: Text
    tokens: protocol.Tokenized
    scored: protocol.Scored
    rows: Path


class ComparisonRun:
    """One comparison. A row that fails says why, and the others continue."""

    def __init__(
        self,
        checkpoint: str,
        reference: EngineSpec,
        engines: Sequence[EngineSpec],
        texts: Sequence[Text],
        store: EngineStore,
        cache: ComparisonCache,
        start_worker: StartWorker,
        log: Path,
        on_progress: Callable[[Progress], None] = lambda _: None,
        choices: Sequence[Choice] = (),
        on_row: Callable[[Comparison], Awaitable[None]] = _nothing,
    ) -> None:
        """Create it.

        Args:
            checkpoint: what the checkpoint is called.
            reference: the engine that the others are compared with.
            on_progress: called at each step.
            choices: questions with options that every engine is asked.
            on_row: called after the reference and after each row with what is finished.
        """
        self._checkpoint = checkpoint
        self._reference = reference
        self._engines = tuple(engines)
        self._texts = tuple(texts)
        self._cache = cache
        self._open = partial(opened, store=store, start_worker=start_worker, log=log)
        self._on_progress = on_progress
        self._choices = tuple(choices)
        self._items: tuple[TokenizedChoice, ...] = ()
        """The questions as token ids."""
        self._on_row = on_row
        self._folder = ""
        """The checkpoint on this disk."""
        self._dtype = ""
        self._machine: dict[str, str] = {}
        self._done = 0
        self._tokens = 0
        """Of one pass over the texts and questions."""
        self._current = ""
        self._versions: dict[str, str] = {}

    async def run(self) -> Comparison:
        """Return the comparison. What was finished by an earlier run is not computed again.

        Raises:
            EngineError: the reference cannot be opened or scored.
            OSError: the disk is full, or the cache cannot be written.
        """
        self._machine = await asyncio.to_thread(machine_facts)
        reference, texts = await self._score_reference()
        rows = list[Row]()
        await self._on_row(self._comparison(reference, rows, texts))
        for spec in self._engines:
            rows.append(await self._compare(spec, reference, texts))
            await self._on_row(self._comparison(reference, rows, texts))
        return self._comparison(reference, rows, texts)

    def _comparison(self, reference: Row, rows: Sequence[Row], texts: Sequence[_ReferenceText]) -> Comparison:
        return Comparison(
            checkpoint=self._checkpoint,
            reference=reference,
            rows=tuple(rows),
            texts=tuple(
                ScoredTextInfo(one.text.name, len(one.tokens.token_ids), digest(one.tokens.token_ids))
                for one in texts
            ),
            machine=self._machine,
            versions=dict(self._versions),
            made_at=time.time(),
            dtype=self._dtype,
            noise_floor=noise_floor(reference, rows, self._dtype),
        )

    async def _score_reference(self) -> tuple[Row, list[_ReferenceText]]:
        refuse_as_reference(self._reference)
        started = time.monotonic()
        self._current = title(self._reference)
        async with self._open(self._reference, on_step=self._take_step) as engine:
            self._versions |= engine.prepared.versions
            tokens = [await engine.tokenize(text.text, text.messages) for text in self._texts]
            limit = self._reference.context
            tokens = [
                replace(one, token_ids=one.token_ids[:limit], pieces=one.pieces[:limit]) for one in tokens
            ]
            self._items = await tokenized(engine, self._choices)
            self._tokens = sum(len(one.token_ids) for one in tokens) + sum(one.tokens for one in self._items)
            checkpoint = engine.prepared.checkpoint
            assert checkpoint is not None
            self._folder = engine.prepared.spec.checkpoint
            self._dtype = "" if checkpoint.quantisation else checkpoint.dtype
            references = [
                await self._score_text(engine, text, one)
                for text, one in zip(self._texts, tokens, strict=True)
            ]
            key = digest(SCORE_FORMAT, _identity(engine), "reference", *self._choice_ids)
            if (row := self._cache.row(key)) is None:
                choices = await self._answer(engine)
                self._report("timing")
                row = await described(engine, await measure_speed(engine))
                row = replace(row, choices=choices, seconds=time.monotonic() - started)
                await asyncio.to_thread(self._cache.keep_row, key, row)
            self._done = self._tokens
            return row, references

    @property
    def _choice_ids(self) -> list[object]:
        """What the questions add to the key of a row; nothing without questions."""
        return [[one.rows for one in self._items]] if self._items else []

    async def _answer(self, engine: ComparedEngine) -> ChoiceResult | None:
        """Return the answers to the questions; None without questions."""
        if not self._items or not await answers_questions(engine):
            return None

        def count(tokens: int) -> None:
            self._done += tokens
            self._report("questions")

        self._report("questions")
        return await answered(engine, self._items, count)

    async def _score_text(
        self, engine: ComparedEngine, text: Text, tokens: protocol.Tokenized
    ) -> _ReferenceText:
        self._report(f"scoring {text.name}")
        file = self._cache.rows_file(_identity(engine), tokens.token_ids)
        scored = self._cache.reference(file)
        if scored is None:
            scored = await engine.score(tokens.token_ids, TOP, keep=str(file))
            await asyncio.to_thread(self._cache.keep_reference, file, scored)
        self._done += len(tokens.token_ids)
        return _ReferenceText(text, tokens, scored, file)

    async def _compare(self, spec: EngineSpec, reference: Row, texts: Sequence[_ReferenceText]) -> Row:
        self._current, done = title(spec), self._done
        try:
            async with self._open(spec, on_step=self._take_step) as engine:
                self._versions |= engine.prepared.versions
                if not engine.is_remote:
                    await use_tokenizer(engine, self._folder)
                key = digest(
                    SCORE_FORMAT,
                    _identity(engine),
                    f"{reference.digest} {reference.kv_precision}",
                    [one.tokens.token_ids for one in texts],
                    *self._choice_ids,
                )
                if engine.is_remote:  # measured each time: what a server runs may change under one name
                    await check_server(engine, self._folder)
                    row = await self._score(engine, reference, texts)
                elif kept := self._cache.row(key):
                    row = kept
                else:
                    row = await self._score(engine, reference, texts)
                    await asyncio.to_thread(self._cache.keep_row, key, row)
        except (EngineError, ValueError) as error:  # ValueError: scores that cannot be compared
            row = unmeasured(spec, error_text(to_error_event(0, error)))
        if spec.checkpoint != self._folder and is_gguf_file(Path(spec.checkpoint)):
            row = replace(row, title=file_title(spec))
        self._done = done + self._tokens
        return row

    async def _score(self, engine: ComparedEngine, reference: Row, texts: Sequence[_ReferenceText]) -> Row:
        started = time.monotonic()
        scores = []
        for one in texts:
            self._report(f"scoring {one.text.name}")
            scores.append(await engine.score(one.tokens.token_ids, TOP, reference=str(one.rows)))
            self._done += len(one.tokens.token_ids)
        choices = await self._answer(engine)
        if choices and reference.choices:
            choices = replace(choices, flips=flips(reference.choices.chosen, choices.chosen))
        self._report("timing")
        row = replace(await described(engine, await measure_speed(engine)), choices=choices)
        row = finished(
            row, [one.scored for one in texts], scores, await self._passages(engine, texts, scores)
        )
        return replace(row, seconds=time.monotonic() - started)

    async def _passages(
        self, engine: ComparedEngine, texts: Sequence[_ReferenceText], scores: Sequence[protocol.Scored]
    ) -> list[list[Passage]]:
        """Return the worst passages of each text."""
        pairs = list(zip(texts, scores, strict=True))
        ids = set[int]()
        for one, scored in pairs:
            windows = worst_windows(position_divergences(one.scored, scored))
            ids |= shown_ids(windows, one.scored, scored)
        shown = await engine.texts_of(ids)  # one call: each loads the tokenizer
        return [
            passages(one.text.name, one.tokens.pieces, one.scored, scored, shown) for one, scored in pairs
        ]

    def _take_step(self, step: Step) -> None:
        if isinstance(step, protocol.Stage):
            self._report(step.name)

    def _report(self, step: str) -> None:
        total = self._tokens * (1 + len(self._engines))
        self._on_progress(Progress(self._current, step, self._done, total))


def _identity(engine: ComparedEngine) -> str:
    return engine.prepared.digest
